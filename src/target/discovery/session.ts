/** A TransferEngine of which the caller knows where its tensors are. */
import { makeCatalog } from '../catalog.js';
import type { SessionPullOptions } from '../options.js';
import type { Origin } from '../origins.js';
import type { Candidate, Discovery, Source } from './discovery.js';

export class SessionDiscovery implements Discovery {
  readonly origin: Origin;
  readonly subject: string;
  readonly selector = '';
  readonly maxSources = 1;
  /** The caller's addresses are of the process that it asked: of another one at the same port they mean nothing. */
  readonly renewable = false;
  readonly reporter = undefined;
  readonly #session: SessionPullOptions['session'];

  constructor({ session }: SessionPullOptions) {
    this.#session = session;
    this.origin = { kind: 'session', id: session.id };
    this.subject = session.id;
  }

  find(): Promise<readonly Candidate[]> {
    return Promise.resolve([{ sourceId: '', workerId: '' }]);
  }

  open(candidate: Candidate): Promise<Source> {
    const { id, tensors } = this.#session;
    const published = tensors.map(({ name, address, bytes, dtype = '', shape }) => ({ name, addr: address, size: bytes, dtype, shape }));
    return Promise.resolve({
      ...candidate,
      rank: 0,
      peer: id,
      catalog: makeCatalog(id, published, undefined),
      accelerator: '',
      fetchFile: undefined,
      lease: undefined,
      notes: [],
      unchanged: () => Promise.resolve(true),
    });
  }

  close(): void {
    // Nothing is held.
  }
}
