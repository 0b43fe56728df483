/** SIGINT and SIGTERM: the first asks the command to clean up and end, the second ends it at once. */
import { exitCodeOfSignal, type EndSignal, type ExitCode } from './exit-codes.js';
import type { CliIo } from './io.js';

export class EndSignals implements Disposable {
  readonly #io: CliIo;
  readonly #controller = new AbortController();
  readonly #listener = (signal: EndSignal): void => {
    this.#onSignal(signal);
  };
  #received: EndSignal | undefined;

  constructor(io: CliIo) {
    this.#io = io;
    io.signals.on('SIGINT', this.#listener);
    io.signals.on('SIGTERM', this.#listener);
  }

  /** Fires at the first signal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The first signal, if there was one. */
  get received(): EndSignal | undefined {
    return this.#received;
  }

  /** Waits for the first signal; returns its exit code. */
  async wait(): Promise<ExitCode> {
    await fired(this.signal);
    return exitCodeOfSignal(this.#received ?? 'SIGTERM');
  }

  [Symbol.dispose](): void {
    this.#io.signals.off('SIGINT', this.#listener);
    this.#io.signals.off('SIGTERM', this.#listener);
  }

  #onSignal(signal: EndSignal): void {
    if (this.#received !== undefined) {
      this.#io.exit(exitCodeOfSignal(signal));
      return;
    }
    this.#received = signal;
    this.#controller.abort(new Error(`received ${signal}`));
  }
}

async function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  // A listener holds nothing alive; a command that waits for a signal must stay.
  const hold = setInterval(() => undefined, 0x7fff_ffff);
  await new Promise<void>((resolve) => {
    signal.addEventListener(
      'abort',
      () => {
        resolve();
      },
      { once: true },
    );
  });
  clearInterval(hold);
}
