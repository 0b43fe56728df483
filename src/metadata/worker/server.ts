/** A source worker's own gRPC endpoint. */
import { SeedServiceService } from '../../gen/weightcast/seed.js';
import { type Logger, silentLogger } from '../../observe/logger.js';
import { formatAddress } from '../../rpc/address.js';
import { GrpcEndpoint, service } from '../../rpc/endpoint.js';
import { createSeedService, createWorkerService, type WorkerSource, workerServiceDefinition } from './services.js';

export type { WorkerSource } from './services.js';

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
  readonly #grpc: GrpcEndpoint;
  readonly #setSourceId: (id: string) => void;
  #closing: Promise<void> | undefined;

  private constructor(grpc: GrpcEndpoint, endpoint: string, setSourceId: (id: string) => void) {
    this.#grpc = grpc;
    this.endpoint = endpoint;
    this.#setSourceId = setSourceId;
  }

  /** @throws ERR_INVALID_ARGUMENT for a host that is not known, ERR_IO when the system refuses the address; both name it. */
  static async listen(options: WorkerServerOptions): Promise<WorkerServer> {
    const { host, port = 0, worker, logger = silentLogger } = options;
    let sourceId = '';
    const source = { worker, logger, sourceId: () => sourceId };
    const services = [
      service(workerServiceDefinition, createWorkerService(source)),
      service(SeedServiceService, createSeedService(source)),
    ];
    const grpc = await GrpcEndpoint.open({ address: { host, port }, services, logger });
    const endpoint = formatAddress({ host, port: grpc.port });
    logger.debug('worker endpoint listens', { endpoint });
    return new WorkerServer(grpc, endpoint, (id) => {
      sourceId = id;
    });
  }

  /** Before the first call of this, requests that name a source id are refused. */
  setSourceId(id: string): void {
    this.#setSourceId(id);
  }

  /** Ends within about a second. Idempotent; never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#grpc.close(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
