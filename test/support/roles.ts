/** The command line's processes in tests: a server, seeds and targets, each a real process of its own. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

/** A JSON object that a command printed. */
export type Printed = Readonly<Record<string, unknown>>;

/** How a command ended. */
export interface Ended {
  /** Exit code; 128 + signal number when a signal ended it. */
  readonly code: number;
  /** All objects that it printed. */
  readonly printed: readonly Printed[];
  readonly stderr: string;
}

/** A command that runs with `--json`; killed after the tests of the file if it still does. */
export class Role {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  private readonly printed: Printed[] = [];
  private stderr = '';
  private readonly waiting: (() => void)[] = [];
  private taken = 0;
  private done = false;

  constructor(args: readonly string[], options: { readonly env?: NodeJS.ProcessEnv; readonly prefix?: readonly string[] } = {}) {
    const [command, ...rest] = [...(options.prefix ?? []), process.execPath, main, ...args, '--json'];
    assert.ok(command);
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.env } });
    this.process = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      this.printed.push(JSON.parse(line) as Printed);
      this.wake();
    });
    this.ended = (async () => {
      const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
      this.done = true;
      this.wake();
      return { code: code ?? 128 + (signal === null ? 0 : constants.signals[signal]), printed: this.printed, stderr: this.stderr };
    })();
    after(async () => {
      if (!this.done) child.kill('SIGKILL');
      await this.ended;
    });
  }

  /** The next object that it prints; fails the test when it ends without. */
  async next(): Promise<Printed> {
    while (this.printed.length <= this.taken && !this.done) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    const printed = this.printed[this.taken++];
    assert.ok(printed, `${this.process.spawnargs.slice(2).join(' ')} ended and printed nothing more: ${this.stderr}`);
    return printed;
  }

  /** Sends the signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.process.kill(signal);
    return this.ended;
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

/** `weightcast serve` on a free port; its `address` is what the others take as `--server`. */
export async function serve(listen = '127.0.0.1:0'): Promise<{ role: Role; address: string }> {
  const role = new Role(['serve', '--listen', listen]);
  const ready = await role.next();
  return { role, address: String(ready['address']) };
}

/** `weightcast seed`, up and READY. */
export async function seed(model: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<{ role: Role; ready: Printed }> {
  const role = new Role(['seed', model, ...args], { env });
  const ready = await role.next();
  assert.equal(ready['event'], 'ready', JSON.stringify(ready));
  return { role, ready };
}

/** `weightcast pull`, to its end. */
export async function pull(
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly prefix?: readonly string[] } = {},
): Promise<Ended> {
  return new Role(['pull', ...args], options).ended;
}

/** The one object of a pull that succeeded. */
export function summaryOf(ended: Ended): PullSummary {
  assert.equal(ended.code, 0, `${JSON.stringify(ended.printed)} ${ended.stderr}`);
  const [summary] = ended.printed;
  assert.ok(summary);
  return summary as unknown as PullSummary;
}

/** The error of a command that failed with this exit code. */
export function errorOf(ended: Ended, exitCode: number): { readonly code: string; readonly message: string } {
  assert.equal(ended.code, exitCode, `${JSON.stringify(ended.printed)} ${ended.stderr}`);
  const error = ended.printed.at(-1)?.['error'];
  assert.ok(typeof error === 'object' && error !== null, JSON.stringify(ended.printed));
  return error as { code: string; message: string };
}

/** The fields of `pull --json` that tests look at; bigints are numbers there. */
export interface PullSummary {
  readonly transport: string;
  readonly transportReason: string;
  readonly software: boolean;
  readonly tensors: number;
  readonly bytes: number;
  readonly workRequests: number;
  readonly wireGBps: number;
  readonly eventLoopMaxDelayMs: number;
  readonly rank: number;
  readonly registrations: number;
  readonly lanes: readonly {
    readonly name: string;
    readonly localDevice?: string;
    readonly bytes: number;
    readonly workRequests: number;
    readonly retransmits: number;
    readonly smallestReadBytes?: number;
  }[];
  readonly phases: Readonly<Record<string, number>>;
  readonly verified?: { readonly tensors: number; readonly bytes: number };
  readonly notes: readonly string[];
}
