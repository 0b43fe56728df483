/** `grpc.health.v1.Health`, for probes and for clients that choose servers by it. */
import type { Server } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { OpenStreams } from './open-streams.js';

/**
 * SERVING from the first call on, NOT_SERVING once the server drains. It does not follow the store: a server whose store
 * is away answers all calls, in band, and to restart it would bring nothing back. Readiness does (`/readyz`).
 */
export class GrpcHealth {
  readonly #health: HealthImplementation;
  readonly #services: readonly string[];

  /** @param services full names; the server as a whole, the empty name, is always among them. */
  constructor(services: readonly string[]) {
    this.#services = ['', ...services];
    this.#health = new HealthImplementation(Object.fromEntries(this.#services.map((name) => [name, 'SERVING'])));
  }

  addTo(server: Server, streams: OpenStreams): void {
    const known = new Set(this.#services);
    const target = streams.on(server);
    this.#health.addToServer({
      addService: (definition, implementation) => {
        const { watch } = implementation as unknown as { watch: (call: WatchCall) => void };
        const guarded = {
          ...implementation,
          // The package remembers every name that was ever watched: strangers must not fill it with names of theirs.
          watch: (call: WatchCall) => {
            if (known.has(call.request.service)) watch(call);
            else call.write({ status: 'SERVICE_UNKNOWN' });
          },
        };
        target.addService(definition, guarded);
      },
    });
  }

  /** Tells those who watch, and answers so from now on. */
  stopServing(): void {
    for (const name of this.#services) this.#health.setStatus(name, 'NOT_SERVING');
  }
}

interface WatchCall {
  readonly request: { readonly service: string };
  write(message: { readonly status: string }): void;
}
