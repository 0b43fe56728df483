/** A rank of an SGLang server, or of a Weightcast seed that answers as one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeightcastError, throwIfAborted, toWeightcastError, type ErrorCode } from '../../errors.js';
import { parseAddress } from '../../handshake/index.js';
import { silentLogger } from '../../observe/logger.js';
import { SglangClient } from '../../sglang/client.js';
import { bytesOf, type TransferInfo } from '../../sglang/transfer-info.js';
import { makeCatalog, sameTensors, type PublishedTensor } from '../catalog.js';
import type { SglangPullOptions } from '../options.js';
import type { Origin } from '../origins.js';
import type { Candidate, Discovery, Source } from './discovery.js';

/** Between two looks while waiting, ms. */
const pollMs = 250;

/** A server that still loads its model does not listen yet; then it listens, and its ranks register one by one. */
const notYet: ReadonlySet<ErrorCode> = new Set(['ERR_SERVER_UNREACHABLE', 'ERR_RANK_NOT_FOUND', 'ERR_SOURCE_GONE', 'ERR_NO_SOURCE']);

export class SglangDiscovery implements Discovery {
  readonly origin: Origin;
  readonly subject: string;
  readonly selector = '';
  readonly maxSources = 1;
  readonly renewable = true;
  readonly reporter = undefined;
  readonly #options: SglangPullOptions;
  readonly #client: SglangClient;
  /** What `find` found, for the first `open`. */
  #found: TransferInfo | undefined;

  /** @throws ERR_INVALID_ARGUMENT for a URL that is none, ERR_TLS. */
  constructor(options: SglangPullOptions) {
    const { sglang, security, logger = silentLogger } = options;
    this.#options = options;
    this.#client = new SglangClient(sglang, { security, logger });
    this.origin = { kind: 'sglang', url: this.#client.url };
    this.subject = this.#client.url;
  }

  async find(): Promise<readonly Candidate[]> {
    const { waitMs = 0, signal } = this.#options;
    const deadline = performance.now() + waitMs;
    for (;;) {
      try {
        this.#found = await this.#ask(signal);
        return [{ sourceId: '', workerId: '' }];
      } catch (error) {
        const left = deadline - performance.now();
        if (!(error instanceof WeightcastError && notYet.has(error.code)) || left <= 0) throw error;
        await sleep(Math.min(pollMs, left), undefined, { ...(signal && { signal }) }).catch(() => {
          throwIfAborted(signal, `waiting for ${this.subject}`);
        });
      }
    }
  }

  async open(candidate: Candidate): Promise<Source> {
    const { rank = 0, signal } = this.#options;
    const info = this.#found ?? (await this.#ask(signal));
    this.#found = undefined;
    const { sessionId: peer } = info;
    this.#checkSession(peer);
    const tensors = publishedOf(info);
    return {
      ...candidate,
      rank,
      peer,
      catalog: makeCatalog(peer, tensors, undefined),
      accelerator: '',
      fetchFile: undefined,
      lease: undefined,
      notes: [],
      unchanged: async (during) => {
        const now = await this.#ask(during);
        return now.sessionId === peer && sameTensors(tensors, publishedOf(now));
      },
    };
  }

  close(): void {
    // Every question has a connection of its own.
  }

  #ask(signal: AbortSignal | undefined): Promise<TransferInfo> {
    return this.#client.transferInfo(this.#options.rank ?? 0, signal);
  }

  #checkSession(peer: string): void {
    try {
      parseAddress(peer);
    } catch (error) {
      const { message } = toWeightcastError(error);
      throw new WeightcastError('ERR_PROTOCOL', `${this.subject} publishes a session that is no address: ${message}`, {
        cause: error,
        peer: this.subject,
      });
    }
  }
}

function publishedOf({ tensors }: TransferInfo): PublishedTensor[] {
  return tensors.map((tensor) => ({
    name: tensor.name,
    addr: tensor.address,
    size: bytesOf(tensor),
    dtype: '',
    elementSize: tensor.elementSize,
  }));
}
