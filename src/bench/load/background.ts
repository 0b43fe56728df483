/** Calls that go on at a steady pace while something else is measured. */
import { WeightcastError } from '../../errors.js';
import { Generators } from './generators.js';
import type { Job } from './job.js';

/** One connection makes at most so many calls a second, so that none falls behind while the server is busy with others. */
const callsPerConnection = 10;
const mostConnections = 64;

/** In a process of their own, whose CPU time counts for nobody. */
export class Background implements AsyncDisposable {
  readonly #generators: Generators;
  readonly #end: AbortController;
  readonly #ended: Promise<unknown>;

  private constructor(generators: Generators, end: AbortController, ended: Promise<unknown>) {
    this.#generators = generators;
    this.#end = end;
    this.#ended = ended;
  }

  /** Resolves when calls are being made; they end with its disposal, which rejects with what a call failed with. */
  static async start(job: Pick<Job, 'server' | 'security' | 'calls'>, callsPerSecond: number, signal: AbortSignal): Promise<Background> {
    const connections = Math.min(Math.max(Math.ceil(callsPerSecond / callsPerConnection), 1), mostConnections);
    const end = new AbortController();
    const generators = new Generators(1);
    const paced = { ...job, connections, pace: callsPerSecond / connections, time: { warmUpMs: 0, durationMs: Number.MAX_SAFE_INTEGER } };
    try {
      return await new Promise<Background>((started, failed) => {
        const ended = generators.run(paced, AbortSignal.any([signal, end.signal]), async () => {
          started(new Background(generators, end, ended));
        });
        ended.catch(failed);
      });
    } catch (error) {
      await generators[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    try {
      await this.#ended;
    } catch (error) {
      if (!(error instanceof WeightcastError) || error.code !== 'ERR_ABORTED') throw error;
    } finally {
      await this.#generators[Symbol.asyncDispose]();
    }
  }
}
