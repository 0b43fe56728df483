/** Load generators: processes that call a server, and what they measure together. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { throwIfAborted, WeightcastError, type ErrorCode } from '../../errors.js';
import type { FromGenerator, Job, Load, ToGenerator } from './job.js';

const program = fileURLToPath(new URL('./generator.js', import.meta.url));

/** What is done between the two steps of a job, when every generator is ready: note the server's CPU time, for example. */
export type AtStart = () => Promise<void>;

export class Generators implements AsyncDisposable {
  readonly #processes: readonly ChildProcess[];

  /** @param count processes; each takes part of a job's connections. */
  constructor(count: number) {
    // Without the flags of this process: --inspect, for example, would have them all open one port.
    this.#processes = Array.from({ length: count }, () => fork(program, { execArgv: [], serialization: 'advanced' }));
    for (const child of this.#processes) child.on('error', () => undefined);
  }

  get count(): number {
    return this.#processes.length;
  }

  /** One job, divided among all generators. Rejects with what the first that fails reports; ERR_ABORTED. */
  async run(job: Omit<Job, 'mine'>, signal: AbortSignal, atStart?: AtStart): Promise<Load[]> {
    throwIfAborted(signal, 'bench');
    const busy = this.#processes.slice(0, job.connections);
    const stop = (): void => {
      for (const child of busy) tell(child, { type: 'stop' });
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      await all(busy, 'ready', (child, g) => {
        const mine = Array.from({ length: job.connections }, (_, number) => number).filter((number) => number % busy.length === g);
        tell(child, { type: 'prepare', job: { ...job, mine } });
      });
      await atStart?.();
      return await all(busy, 'done', (child) => {
        tell(child, { type: 'go' });
      });
    } catch (error) {
      throwIfAborted(signal, 'bench');
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#processes.map(async (child) => {
        const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
        if (child.connected) child.disconnect();
        await exited;
      }),
    );
  }
}

function tell(child: ChildProcess, message: ToGenerator): void {
  if (child.connected) child.send(message);
}

/** Sends to all, and waits for all: a job that failed in one of them must have ended in the others before the next begins. */
async function all(
  processes: readonly ChildProcess[],
  expected: 'ready' | 'done',
  begin: (child: ChildProcess, number: number) => void,
): Promise<Load[]> {
  const answers = processes.map((child) => answerOf(child));
  processes.forEach(begin);
  const loads: Load[] = [];
  const settled = await Promise.allSettled(answers);
  for (const outcome of settled) {
    if (outcome.status === 'rejected') throw outcome.reason as Error;
    const answer = outcome.value;
    if (answer.type === 'failed') throw new WeightcastError(answer.code as ErrorCode, answer.message);
    if (answer.type !== expected)
      throw new WeightcastError('ERR_INTERNAL', `bench: a load generator said ${answer.type} instead of ${expected}`);
    if (answer.type === 'done') loads.push(answer.load);
  }
  return loads;
}

/** The next message; rejects when the process ends instead. */
function answerOf(child: ChildProcess): Promise<FromGenerator> {
  return new Promise((resolve, reject) => {
    const ended = (): void => {
      child.off('message', said);
      reject(new WeightcastError('ERR_INTERNAL', `bench: a load generator ended with exit code ${String(child.exitCode)}`));
    };
    const said = (message: unknown): void => {
      child.off('exit', ended);
      resolve(message as FromGenerator);
    };
    child.once('message', said);
    child.once('exit', ended);
    if (child.exitCode !== null || child.signalCode !== null) ended();
  });
}
