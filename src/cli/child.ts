/** A process of the demo or of a benchmark: this command again, with `--json`. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { WeightcastError } from '../errors.js';
import { errorCodes } from './exit-codes.js';
import { aborted } from './aborted.js';

const mainScript = fileURLToPath(new URL('./main.js', import.meta.url));

/** How long a process may take to clean up before it is killed. */
const stopMs = 10_000;

/** An object that a process printed. Fields are those of the command's `--json` output. */
export type Printed = Readonly<Record<string, unknown>>;

export class Child {
  readonly #role: string;
  readonly #process: ChildProcessByStdio<null, Readable, null>;
  readonly #exited: Promise<number>;
  readonly #lines: AsyncIterator<string>;
  #ended = false;

  /**
   * @param role - begins the messages of errors: `the seed`.
   * @param showLogs - lets the process write its logs and progress to our stderr.
   * @param env - its environment; default ours.
   */
  constructor(role: string, args: readonly string[], showLogs: boolean, env: NodeJS.ProcessEnv = process.env) {
    this.#role = role;
    // A group of its own: Ctrl-C reaches only who started it, which ends its processes in order.
    this.#process = spawn(process.execPath, [mainScript, ...args, '--json'], {
      stdio: ['ignore', 'pipe', showLogs ? 'inherit' : 'ignore'],
      detached: true,
      env,
    });
    this.#exited = this.#exitCode();
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /**
   * The next object that the process prints.
   * @throws WeightcastError what the process reports as its error; ERR_INTERNAL when it ends without a word.
   */
  async next(signal: AbortSignal): Promise<Printed> {
    const line = await Promise.race([this.#lines.next(), aborted(signal)]);
    if (line.done === true) {
      throw new WeightcastError('ERR_INTERNAL', `${this.#role} ended with exit code ${String(await this.#exited)} and printed nothing`);
    }
    const printed = JSON.parse(line.value) as Printed;
    if ('error' in printed) throw errorOf(this.#role, printed.error);
    return printed;
  }

  /** The exit code, once the process has ended by itself. */
  ended(signal: AbortSignal): Promise<number> {
    return Promise.race([this.#exited, aborted(signal)]);
  }

  /** SIGTERM, and SIGKILL when that does not end it in time. Returns the exit code. */
  async stop(): Promise<number> {
    if (!this.#ended) this.#process.kill('SIGTERM');
    const timeout = new AbortController();
    const killLater = delay(stopMs, undefined, { signal: timeout.signal }).then(
      () => {
        this.kill();
      },
      () => undefined,
    );
    const code = await this.#exited;
    timeout.abort();
    await killLater;
    return code;
  }

  /** At once; for the end of the process. */
  kill(): void {
    if (!this.#ended) this.#process.kill('SIGKILL');
  }

  async #exitCode(): Promise<number> {
    try {
      const [code, signal] = (await once(this.#process, 'exit')) as [number | null, NodeJS.Signals | null];
      return code ?? (signal === 'SIGKILL' ? 137 : 1);
    } catch {
      return 1; // It could not be started; stdout then ends without a line.
    } finally {
      this.#ended = true;
    }
  }
}

function errorOf(role: string, value: unknown): WeightcastError {
  const { code, message } = (value ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  const known = errorCodes.find((candidate) => candidate === code) ?? 'ERR_INTERNAL';
  return new WeightcastError(known, `${role}: ${String(message)}`);
}
