/** Calls over connections of their own, one call under way on each. */
import { setTimeout as delay } from 'node:timers/promises';
import { toWeightcastError, WeightcastError } from '../../errors.js';
import { defaultServerPort } from '../../metadata/client.js';
import { formatAddress, parseTarget } from '../../rpc/address.js';
import { RpcClient } from '../../rpc/rpc-client.js';
import type { Job, Load } from './job.js';
import { type Script, scriptOf } from './script.js';

const timeoutMs = 60_000;

/** A connection that was refused a call waits so long: a server shuts out who goes on at once. */
const backOffMs = 250;

/** The connections of one job. */
export class Drive implements Disposable {
  readonly #job: Job;
  readonly #script: Script;
  readonly #connections: readonly Connection[];

  private constructor(job: Job, script: Script) {
    this.#job = job;
    this.#script = script;
    const { tls, ...address } = parseTarget(job.server, defaultServerPort);
    const { security } = job;
    this.#connections = job.mine.map((number) => ({
      number,
      rpc: new RpcClient({
        address,
        security: { ...security, tls: security.tls ?? (tls ? {} : undefined) },
        timeoutMs,
        translate: (error, doing) => toWeightcastError(error, { doing, peer: formatAddress(address) }),
      }),
    }));
  }

  /** Makes the requests and, for a job with a time, connects and warms up. Rejects with what a call fails with. */
  static async prepare(job: Job, signal: AbortSignal): Promise<Drive> {
    const drive = new Drive(job, await scriptOf(job.calls));
    try {
      if (job.time !== undefined) await drive.#forTime(job.time.warmUpMs, signal);
      return drive;
    } catch (error) {
      drive[Symbol.dispose]();
      throw error;
    }
  }

  async run(signal: AbortSignal): Promise<Load> {
    const { time } = this.#job;
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    const tally = await (time === undefined ? this.#once(signal) : this.#forTime(time.durationMs, signal));
    const elapsedMs = performance.now() - startedAt;
    const { user, system } = process.cpuUsage(cpu);
    const { latencies, replyBytes, refused } = tally;
    return { latencies: Float64Array.from(latencies), replyBytes, elapsedMs, cpuMs: (user + system) / 1000, refused };
  }

  [Symbol.dispose](): void {
    for (const { rpc } of this.#connections) rpc.close();
  }

  /** At least one call on each connection. */
  async #forTime(ms: number, signal: AbortSignal): Promise<Tally> {
    const end = performance.now() + ms;
    const { count } = this.#script;
    const { connections, pace } = this.#job;
    return await this.#each(async ({ number, rpc }, tally) => {
      let index = number % count;
      // Connections take turns.
      let due = performance.now() + (pace === undefined ? 0 : (1000 / pace) * (number / connections));
      do {
        const early = pace === undefined ? 0 : due - performance.now();
        if (early > 0) await delay(early, undefined, { signal });
        if (pace !== undefined) due += 1000 / pace;
        if (await this.#call(rpc, index, tally, signal)) index = index + connections < count ? index + connections : number % count;
      } while (performance.now() < end);
    });
  }

  #once(signal: AbortSignal): Promise<Tally> {
    return this.#each(async ({ number, rpc }, tally) => {
      for (let index = number; index < this.#script.count; index += this.#job.connections) {
        while (!(await this.#call(rpc, index, tally, signal)));
      }
    });
  }

  async #each(body: (connection: Connection, tally: Tally) => Promise<void>): Promise<Tally> {
    const tally: Tally = { latencies: [], replyBytes: 0, refused: 0 };
    await Promise.all(this.#connections.map((connection) => body(connection, tally)));
    return tally;
  }

  /** False: refused for now. */
  async #call(rpc: RpcClient, index: number, tally: Tally, signal: AbortSignal): Promise<boolean> {
    const request = this.#script.request(index);
    const startedAt = performance.now();
    try {
      const reply = await rpc.unary(this.#script.method, request, { doing: `bench: cannot ${this.#job.calls.method}`, signal });
      tally.latencies.push(performance.now() - startedAt);
      tally.replyBytes += reply.length;
      this.#script.check(reply);
      return true;
    } catch (error) {
      if (!(error instanceof WeightcastError) || error.code !== 'ERR_OVERLOADED') throw error;
      tally.refused++;
      await delay(backOffMs, undefined, { signal });
      return false;
    }
  }
}

interface Connection {
  readonly number: number;
  readonly rpc: RpcClient;
}

interface Tally {
  readonly latencies: number[];
  replyBytes: number;
  refused: number;
}
