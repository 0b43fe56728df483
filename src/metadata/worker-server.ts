/** A source worker's own gRPC endpoint. */
import { Server } from '@grpc/grpc-js';
import { SeedServiceService } from '../gen/weightcast/seed.js';
import { type Logger, silentLogger } from '../observe/logger.js';
import { formatAddress } from './rpc/address.js';
import { serverOptions } from './rpc/limits.js';
import { bind, shutDown } from './rpc/listen.js';
import { createSeedService, createWorkerService, type WorkerSource, workerServiceDefinition } from './worker-services.js';

export type { WorkerSource } from './worker-services.js';

export interface WorkerServerOptions {
  /** Address to bind to; also what peers are told in {@link WorkerServer.endpoint}. */
  readonly host: string;
  /** Default 0: a free one. */
  readonly port?: number;
  readonly worker: WorkerSource;
  readonly logger?: Logger;
}

/** How long `close` lets running calls finish. Milliseconds. */
const graceMs = 1000;

/** Serves `model_express.p2p.WorkerService` (tensors only) and `weightcast.v1.SeedService`. No authentication, as ModelExpress. */
export class WorkerServer implements AsyncDisposable {
  /** `host:port` for `WorkerMetadata.worker_grpc_endpoint`. */
  readonly endpoint: string;
  readonly #server: Server;
  readonly #setSourceId: (id: string) => void;
  #closing: Promise<void> | undefined;

  private constructor(server: Server, endpoint: string, setSourceId: (id: string) => void) {
    this.#server = server;
    this.endpoint = endpoint;
    this.#setSourceId = setSourceId;
  }

  /** @throws ERR_INVALID_ARGUMENT for a host that is not known, ERR_IO when the system refuses the address; both name it. */
  static async listen(options: WorkerServerOptions): Promise<WorkerServer> {
    const { host, port = 0, worker, logger = silentLogger } = options;
    let sourceId = '';
    const source = { worker, logger, sourceId: () => sourceId };
    const server = new Server(serverOptions);
    server.addService(workerServiceDefinition, createWorkerService(source));
    server.addService(SeedServiceService, createSeedService(source));
    const endpoint = formatAddress({ host, port: await bind(server, { host, port }) });
    logger.debug('worker endpoint listens', { endpoint });
    return new WorkerServer(server, endpoint, (id) => {
      sourceId = id;
    });
  }

  /** Before the first call of this, requests that name a source id are refused. */
  setSourceId(id: string): void {
    this.#setSourceId(id);
  }

  /** Ends within about a second. Idempotent; never rejects. */
  close(): Promise<void> {
    this.#closing ??= shutDown(this.#server, graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
