/** stdout: data only, and never an exception when its reader has gone. */
import type { CliIo } from './io.js';

/** JSON of anything the commands print: a bigint becomes a number where that is exact, else a decimal string. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member !== 'bigint') return member;
    const number = Number(member);
    return Number.isSafeInteger(number) ? number : member.toString();
  });
}

/**
 * Names of models and workers, and messages of peers, come from elsewhere: they must not drive the terminal or forge
 * lines.
 */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

export class Output {
  readonly #io: CliIo;
  readonly #closed = new AbortController();
  #failure: Error | undefined;

  /** Takes over the error events of both streams: a reader that has gone (EPIPE) ends the output, not the command. */
  constructor(io: CliIo) {
    this.#io = io;
    io.stdout.on('error', (error) => {
      if (error.code !== 'EPIPE') this.#failure = error;
      this.#closed.abort();
    });
    io.stderr.on('error', () => undefined);
  }

  /** Fires when nobody reads stdout any more (`weightcast sources --watch | head -1`). */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Why output was lost, other than by a reader that has gone: a full disk, for example. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** One line of data; control characters in it are escaped. */
  line(text = ''): void {
    if (!this.#closed.signal.aborted) this.#io.stdout.write(`${printable(text)}\n`);
  }

  /** One JSON object on a line of its own. */
  json(value: unknown): void {
    this.line(toJson(value));
  }

  /** One line for the person in front of it: stderr; control characters in it are escaped. */
  note(text: string): void {
    this.#io.stderr.write(`${printable(text)}\n`);
  }
}
