/** The client that is measured while others attack: what a target and a seed ask of a metadata server. */
import assert from 'node:assert/strict';
import { MetadataClient } from '#src/metadata/client.js';
import { identity, READY, worker } from '../../support/p2p-messages.js';
import { tensors } from '../metadata/support.js';
import { ownSecurity } from './secure-side.js';
import type { Cleanup } from './support.js';

/** Of the worker that is asked for. */
const tensorCount = 2000;

const workerId = 'worker-0';

export class WellBehaved {
  readonly #client: MetadataClient;
  #source = '';

  private constructor(client: MetadataClient) {
    this.#client = client;
  }

  /** Connects, publishes a worker, and asks until everything has been compiled. @param secure the folder of `makeSecureSide` */
  static async connect(test: Cleanup, port: number, secure: string | undefined): Promise<WellBehaved> {
    const client = new MetadataClient(`127.0.0.1:${String(port)}`, secure === undefined ? {} : { security: ownSecurity(secure) });
    test.after(() => client.close());
    const one = new WellBehaved(client);
    const list = tensors(tensorCount);
    one.#source = await client.publish({ identity, workerId, worker: worker({ workerRank: 0, tensors: list, status: READY }) });
    for (let i = 0; i < 100; i += 1) await one.round();
    return one;
  }

  /** A target finds its source and gets the list of its tensors; the source's heartbeat. */
  async round(): Promise<void> {
    const [found] = await this.#client.listSources({ identity });
    assert.equal(found?.workerId, workerId);
    const published = await this.#client.getMetadata(this.#source, workerId);
    assert.equal(published?.worker.tensors.length, tensorCount);
    const { success } = await this.#client.updateStatus({ mxSourceId: this.#source, workerId, workerRank: 0, status: READY });
    assert.ok(success);
  }

  close(): void {
    this.#client.close();
  }
}
