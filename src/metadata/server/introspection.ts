/** What a server says of itself to probes and tools: health and reflection. */
import type { AddService } from '../../rpc/endpoint.js';
import type { GrpcHealth } from './grpc-health.js';
import { OpenStreams } from './open-streams.js';

export class Introspection {
  readonly add: AddService;
  readonly #health: GrpcHealth;
  readonly #streams: OpenStreams;

  private constructor(health: GrpcHealth, streams: OpenStreams, add: AddService) {
    this.#health = health;
    this.#streams = streams;
    this.add = add;
  }

  /** Loads its packages only now: they parse proto files. @param services full names of what the server serves. */
  static async create(services: readonly string[]): Promise<Introspection> {
    const [{ GrpcHealth }, { addReflection }] = await Promise.all([import('./grpc-health.js'), import('./reflection.js')]);
    const streams = new OpenStreams();
    const health = new GrpcHealth(services);
    return new Introspection(health, streams, (server) => {
      health.addTo(server, streams);
      addReflection(server, [...services, 'grpc.health.v1.Health'], streams);
    });
  }

  /** Health is NOT_SERVING from now on. */
  stopServing(): void {
    this.#health.stopServing();
  }

  /** Ends the streams of health and reflection, which would keep a drain from ending. */
  endStreams(): void {
    this.#streams.end();
  }
}
