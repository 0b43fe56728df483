/** The socket of an engine: lines of JSON both ways, descriptors beside them, and a lease for as long as it is open. */
import { WeightcastError, toWeightcastError } from '../errors.js';
import { native, type NativeEngine } from '../native.js';

/** A model of a million tensors fits. */
const longestLine = 512 * 1024 * 1024;
const newline = 10;

/** What Weightcast tells the engine. `done` and `failed` are the last; the memory is free to be given back when the connection has ended. */
export type EngineState = { readonly state: 'serving' } | { readonly state: 'done' } | { readonly state: 'failed'; readonly error: string };

export class EngineConnection {
  /** Resolves with what ended the lease from the engine's side, or with `undefined` when {@link close} did. Known from {@link watch} on. */
  readonly ended: Promise<WeightcastError | undefined>;
  private resolveEnded!: (reason: WeightcastError | undefined) => void;
  private closing: Promise<void> | undefined;
  private rest: Uint8Array = new Uint8Array(0);

  private constructor(
    readonly handle: NativeEngine,
    private readonly path: string,
  ) {
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
  }

  /** @throws ERR_INVALID_ARGUMENT, ERR_NOT_FOUND when nobody listens there, ERR_IO. */
  static async open(path: string, timeoutMs: number): Promise<EngineConnection> {
    try {
      return new EngineConnection(await native().connectEngine(path, timeoutMs), path);
    } catch (error) {
      throw toWeightcastError(error, { doing: 'cannot reach the engine' });
    }
  }

  /** The first line. @throws ERR_PEER_LOST when the engine ends before, ERR_PROTOCOL when it is too long. */
  async line(): Promise<string> {
    const parts: Uint8Array[] = [];
    for (let length = 0; length <= longestLine;) {
      const bytes = await this.receive();
      if (bytes.length === 0) throw this.lost('before it said what memory it has');
      const end = bytes.indexOf(newline);
      if (end < 0) {
        parts.push(bytes);
        length += bytes.length;
        continue;
      }
      this.rest = bytes.subarray(end + 1);
      return Buffer.concat([...parts, bytes.subarray(0, end)]).toString('utf8');
    }
    throw new WeightcastError('ERR_PROTOCOL', `the engine at ${this.path} sent ${String(longestLine)} bytes without an end of line`);
  }

  /** Waits until so many descriptors are here. Those beyond the first message's come with empty lines. @throws ERR_PEER_LOST, ERR_PROTOCOL. */
  async descriptors(count: number): Promise<void> {
    this.expectBlank(this.rest);
    while (this.handle.descriptors() < count) {
      const bytes = await this.receive();
      if (bytes.length === 0) {
        throw this.lost(`after ${String(this.handle.descriptors())} of ${String(count)} descriptors`);
      }
      this.expectBlank(bytes);
    }
    if (this.handle.descriptors() > count) {
      throw new WeightcastError(
        'ERR_PROTOCOL',
        `the engine at ${this.path} passed ${String(this.handle.descriptors())} descriptors; its message has ${String(count)} chunks`,
      );
    }
  }

  /** From now on nothing is expected of the engine but its end. */
  watch(): void {
    void (async () => {
      try {
        for (;;) {
          const bytes = await this.receive();
          if (bytes.length === 0) break;
          this.expectBlank(bytes);
        }
        this.resolveEnded(this.closing === undefined ? this.lost('its lease on the memory is over') : undefined);
      } catch (error) {
        this.resolveEnded(this.closing === undefined ? toWeightcastError(error) : undefined);
      }
    })();
  }

  /** An engine that does not listen any more is no error here: {@link ended} tells. */
  async tell(state: EngineState): Promise<void> {
    try {
      await this.handle.send(Buffer.from(`${JSON.stringify(state)}\n`));
    } catch {
      // It has gone, or is being closed.
    }
  }

  /** Ends what waits here. The engine sees it once its memory is not mapped any more. Idempotent. */
  close(): Promise<void> {
    this.closing ??= this.handle.close();
    return this.closing;
  }

  private async receive(): Promise<Uint8Array> {
    try {
      return await this.handle.receive();
    } catch (error) {
      throw toWeightcastError(error, { doing: `engine at ${this.path}` });
    }
  }

  private expectBlank(bytes: Uint8Array): void {
    if (bytes.every((byte) => byte === newline)) return;
    throw new WeightcastError('ERR_PROTOCOL', `the engine at ${this.path} sent more than one message`);
  }

  private lost(when: string): WeightcastError {
    return new WeightcastError('ERR_PEER_LOST', `the engine at ${this.path} has ended the connection: ${when}`);
  }
}
