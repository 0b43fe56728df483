/** Sources that a ModelExpress metadata server knows. */
import { randomBytes } from 'node:crypto';
import { SourceIdentity } from '../../../gen/model_express/p2p.js';
import { MetadataClient } from '../../../metadata/client.js';
import { selectorOf, type SourceSelector } from '../../../metadata/selection/index.js';
import { TransferReporter } from '../../../metadata/transfers/reporter.js';
import { silentLogger } from '../../../observe/logger.js';
import type { RegistryPullOptions } from '../../options.js';
import type { Origin } from '../../origins.js';
import type { Scope } from '../../scope.js';
import type { Candidate, Discovery, Source, Unreadable } from '../discovery.js';
import { findCandidates } from './candidates.js';
import { openWorker } from './worker.js';

/** Sources that ModelExpress' targets try. */
const defaultMaxSources = 3;

export class RegistryDiscovery implements Discovery {
  readonly origin: Origin;
  readonly subject: string;
  readonly selector: string;
  readonly maxSources: number;
  readonly renewable = true;
  readonly reporter: TransferReporter | undefined;
  readonly #options: RegistryPullOptions;
  readonly #selector: SourceSelector;
  readonly #identity: SourceIdentity;
  readonly #client: MetadataClient;

  /** @throws ERR_INVALID_ARGUMENT for an address or a selector that is none, ERR_TLS. */
  constructor(options: RegistryPullOptions) {
    const { server, security, identity, rank = 0, logger = silentLogger } = options;
    this.#options = options;
    this.#selector = selectorOf(options.selector, options);
    this.#identity = SourceIdentity.fromPartial(identity);
    this.#client = new MetadataClient(server, { security, logger });
    this.origin = { kind: 'registry', server };
    this.subject = identity.modelName;
    this.selector = this.#selector.name;
    this.maxSources = options.maxSources ?? defaultMaxSources;
    if (options.reportTransfers !== false) {
      this.reporter = new TransferReporter({ client: this.#client, modelName: this.subject, rank, logger });
    }
  }

  async find(): Promise<readonly Candidate[]> {
    const { rank = 0, accelerator = '', waitMs = 0, logger = silentLogger, signal } = this.#options;
    const workerId = this.#options.workerId ?? randomBytes(4).toString('hex');
    const found = await findCandidates({
      client: this.#client,
      identity: this.#identity,
      rank,
      workerId,
      accelerator,
      selector: this.#selector,
      waitMs,
      signal,
    });
    logger.debug('sources found', { selector: this.selector, workers: found.length, first: found[0]?.workerId });
    return found.map((source) => ({ sourceId: source.mxSourceId, workerId: source.workerId }));
  }

  open(candidate: Candidate, scope: Scope): Promise<Source | Unreadable> {
    const { accelerator = '', security, signal } = this.#options;
    return openWorker(candidate, { client: this.#client, identity: this.#identity, accelerator, security, signal }, scope);
  }

  close(): void {
    this.#client.close();
  }
}
