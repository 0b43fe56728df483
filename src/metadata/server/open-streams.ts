/** Streams that a client holds open for as long as it likes: a drain must not wait for them. */
import type { Server, ServerDuplexStream, ServerWritableStream, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';

type Stream = ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>;
type StreamHandler = (call: Stream) => void;

export class OpenStreams {
  readonly #open = new Set<Stream>();
  #over = false;

  /** A handler whose calls end at {@link end}. */
  watched(handler: StreamHandler): StreamHandler {
    return (call) => {
      if (this.#over) {
        call.end();
        return;
      }
      this.#open.add(call);
      const forget = (): void => void this.#open.delete(call);
      call.on('cancelled', forget);
      call.on('close', forget);
      handler(call);
    };
  }

  /** What a package adds its service to: the server, with all streams of the service watched. */
  on(server: Server): Pick<Server, 'addService'> {
    return {
      addService: (definition: ServiceDefinition, implementation: UntypedServiceImplementation) => {
        const watched = { ...implementation };
        for (const [name, { responseStream, originalName = name }] of Object.entries(definition)) {
          // Handlers go by either name: `Watch` or `watch`.
          for (const key of [name, originalName]) {
            const handler = implementation[key];
            if (responseStream && handler !== undefined) watched[key] = this.watched(handler as unknown as StreamHandler);
          }
        }
        server.addService(definition, watched);
      },
    };
  }

  /** Ends them with status OK, and every later one at once. */
  end(): void {
    this.#over = true;
    for (const call of this.#open) call.end();
    this.#open.clear();
  }
}
