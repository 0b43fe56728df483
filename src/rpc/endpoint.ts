/** A listening gRPC server: the metadata server's and every seed's. */
import { Server, type ServerInterceptor, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Logger } from '../observe/logger.js';
import type { ServerTlsFiles } from '../security/tls-files.js';
import type { Address } from './address.js';
import { serverOptions } from './limits.js';
import { bind, shutDown } from './listen.js';

/** Anything that can be added to a gRPC server. */
export type AddService = (server: Server) => void;

export interface EndpointOptions {
  /** Port 0 takes a free one. */
  readonly address: Address;
  readonly services: readonly AddService[];
  /** Absent: clear text. */
  readonly tls?: ServerTlsFiles | undefined;
  /** The first one sees a call first. */
  readonly interceptors?: readonly ServerInterceptor[];
  readonly logger: Logger;
}

export class GrpcEndpoint {
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /**
   * Resolves when the endpoint answers calls.
   *
   * @throws ERR_INVALID_ARGUMENT for a host that is not known, ERR_IO when the system refuses the address, ERR_TLS for
   * certificates that cannot be used; all name what they are about.
   */
  static async open(options: EndpointOptions): Promise<GrpcEndpoint> {
    const server = new Server({ ...serverOptions, interceptors: [...(options.interceptors ?? [])] });
    for (const add of options.services) add(server);
    return new GrpcEndpoint(server, await bind(server, options.address));
  }

  /** Stops accepting, lets running calls finish for up to `graceMs` milliseconds, then ends them. Never rejects. */
  close(graceMs: number): Promise<void> {
    return shutDown(this.#server, graceMs);
  }
}

/** A service by its (generated) definition. */
export function service(definition: ServiceDefinition, implementation: UntypedServiceImplementation): AddService {
  return (server) => {
    server.addService(definition, implementation);
  };
}
