/** The one listening thread of a Mooncake process: a connection at a time, one message each. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { after } from 'node:test';
import { ByteSource, frameOf, receive, reset, type Json, type Message } from './wire.js';

/** `undefined` closes without a reply. */
export type Handler = (message: Message) => Promise<Json | undefined> | Json | undefined;

/** Serves until it is killed or the tests of the file end. */
export class SimulatedListener {
  /** Everything that came, in order. */
  readonly messages: Message[] = [];
  address = '';
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #turn = Promise.resolve();

  private constructor(
    private readonly handler: Handler,
    private readonly silenceMs: number,
  ) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
      this.#turn = this.#turn.then(() => this.#serve(socket));
    });
  }

  /** `port` 0: any. */
  static async listen(handler: Handler, silenceMs: number, port = 0): Promise<SimulatedListener> {
    const listener = new SimulatedListener(handler, silenceMs);
    await new Promise<void>((resolve) => listener.#server.listen(port, '127.0.0.1', resolve));
    const { port: bound } = listener.#server.address() as AddressInfo;
    listener.address = `127.0.0.1:${bound}`;
    after(() => listener.kill());
    return listener;
  }

  /** Gives the port back; connections stay. */
  leave(): void {
    this.#server.close();
  }

  /** Gives the port back and resets all connections, as the death of a process does. */
  async kill(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) reset(socket);
    await closed;
  }

  async #serve(socket: Socket): Promise<void> {
    if (socket.destroyed) return;
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.setTimeout(this.silenceMs, () => socket.destroy());
    const message = await receive(new ByteSource(socket));
    if (message === undefined) {
      socket.destroy();
      return;
    }
    this.messages.push(message);
    const reply = await this.handler(message);
    if (reply === undefined) {
      socket.destroy();
      return;
    }
    socket.end(frameOf(message.type, reply));
    // The thread waits for the client to close, and serves nobody else meanwhile.
    await closed;
  }
}
