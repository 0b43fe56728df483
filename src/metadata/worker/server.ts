/** A source worker's own gRPC endpoint. */
import { SeedServiceService } from '../../gen/weightcast/seed.js';
import { type Logger, silentLogger } from '../../observe/logger.js';
import { formatAddress } from '../../rpc/address.js';
import type { EndpointLimits } from '../../rpc/endpoint-limits.js';
import { GrpcEndpoint, service } from '../../rpc/endpoint.js';
import type { ServerTlsFiles } from '../../security/tls-files.js';
import { TensorReadLeases } from './leases.js';
import { createSeedService } from './seed-service.js';
import type { WorkerSource } from './served-source.js';
import { createWorkerService, workerServiceDefinition } from './worker-service.js';

export type { WorkerSource } from './served-source.js';

export interface WorkerServerOptions {
  /** Address to bind to; also what peers are told in {@link WorkerServer.endpoint}. */
  readonly host: string;
  /** Default 0: a free one. */
  readonly port?: number | undefined;
  readonly worker: WorkerSource;
  /** Absent: clear text, the only thing that ModelExpress' own clients speak with workers. */
  readonly tls?: ServerTlsFiles | undefined;
  /** What one client, and all of them, may take; absent ones have the defaults of {@link EndpointLimits}. */
  readonly limits?: Partial<EndpointLimits> | undefined;
  /** Time in which a reader is done; leases last {@link leaseMsOf} of it. Milliseconds; default 900 000. */
  readonly transferTimeoutMs?: number | undefined;
  readonly logger?: Logger;
}

/** How long `close` lets running calls finish. Milliseconds. */
const graceMs = 1000;

/** As `MX_TRANSFER_TIMEOUT` has it where it is not set. */
const defaultTransferTimeoutMs = 900_000;

/** Room for one handshake and one read, both of which peers give up after a time, and for the way there. Milliseconds. */
export function leaseMsOf(transferTimeoutMs: number): number {
  return 2 * Math.max(120_000, transferTimeoutMs) + 30_000;
}

/**
 * Serves `model_express.p2p.WorkerService` (tensors only) and `weightcast.v1.SeedService`. Callers are not authenticated, as
 * ModelExpress has it: whoever reaches it may read, unless TLS asks for a certificate.
 */
export class WorkerServer implements AsyncDisposable {
  /** `host:port` for `WorkerMetadata.worker_grpc_endpoint`; `https://host:port` with TLS. */
  readonly endpoint: string;
  readonly #grpc: GrpcEndpoint;
  readonly #leases: TensorReadLeases;
  readonly #setSourceId: (id: string) => void;
  #closing: Promise<void> | undefined;

  private constructor(grpc: GrpcEndpoint, endpoint: string, leases: TensorReadLeases, setSourceId: (id: string) => void) {
    this.#grpc = grpc;
    this.endpoint = endpoint;
    this.#leases = leases;
    this.#setSourceId = setSourceId;
  }

  /**
   * @throws ERR_INVALID_ARGUMENT for a host that is not known or a limit that is none, ERR_IO when the system refuses the
   * address, ERR_TLS for certificates that cannot be used; all name what they are about.
   */
  static async listen(options: WorkerServerOptions): Promise<WorkerServer> {
    const { host, port = 0, worker, tls, limits, logger = silentLogger } = options;
    let sourceId: string | undefined;
    const source = { worker, logger, sourceId: () => sourceId };
    const leases = new TensorReadLeases({ leaseMs: leaseMsOf(options.transferTimeoutMs ?? defaultTransferTimeoutMs) });
    const services = [
      service(workerServiceDefinition, createWorkerService(source, leases)),
      service(SeedServiceService, createSeedService(source)),
    ];
    const grpc = await GrpcEndpoint.open({ address: { host, port }, services, tls, limits, logger });
    const endpoint = `${tls === undefined ? '' : 'https://'}${formatAddress({ host, port: grpc.port })}`;
    logger.debug('worker endpoint listens', { endpoint });
    return new WorkerServer(grpc, endpoint, leases, (id) => {
      sourceId = id;
    });
  }

  /** Before the first call of this, requests that name a source id are refused. */
  setSourceId(id: string): void {
    this.#setSourceId(id);
  }

  /** Peers that hold a lease on the tensors, which is what newer ones do while they read. */
  get readers(): number {
    return this.#leases.running;
  }

  /**
   * Refuses new readers from now on and waits for those that hold a lease, `timeoutMs` milliseconds at most. What they need to
   * finish goes on until `close`. Resolves to the number of leases that still run; never rejects.
   */
  drain(timeoutMs: number): Promise<number> {
    return this.#leases.drain(timeoutMs);
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
