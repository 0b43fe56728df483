/** What a server process takes of its machine: of a process here, or as its metrics tell it. */
import { readFile } from 'node:fs/promises';
import { WeightcastError } from '../../errors.js';

export interface ProcessUsage {
  /** User and system, since the process began. */
  readonly cpuMs: number;
  readonly residentBytes: number;
}

export interface UsageSource {
  /** For people: where the figures come from, and how fine they are. */
  readonly name: string;
  /** Rejects with ERR_SERVER when they cannot be read. */
  read(): Promise<ProcessUsage>;
}

/** Linux shows CPU times to programs in ticks of this length, whatever the kernel's own are. */
const tickMs = 10;

/** Of a process of this machine, on Linux. */
export function processUsage(pid: number): UsageSource {
  return {
    name: '/proc (CPU time in steps of 10 ms)',
    read: async () => {
      try {
        const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
        const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
        return parseProcess(stat, status);
      } catch (error) {
        throw new WeightcastError('ERR_SERVER', `bench: the server's process ${String(pid)} is gone`, { cause: error });
      }
    },
  };
}

/** @param stat and `status`: the files of those names in /proc/PID. */
export function parseProcess(stat: string, status: string): ProcessUsage {
  // The second field is the name, in parentheses, with any characters in it; user and system time are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const kibibytes = Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]);
  return { cpuMs: ticks * tickMs, residentBytes: kibibytes * 1024 };
}

/** Of any server with Prometheus' usual process metrics. */
export function metricsUsage(url: string): UsageSource {
  return {
    name: `metrics at ${url}`,
    read: async () => {
      const failed = (reason: string, cause?: unknown): WeightcastError =>
        new WeightcastError('ERR_SERVER', `bench: cannot read the server's metrics at ${url}: ${reason}`, { cause, peer: url });
      let text: string;
      try {
        const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
        if (!response.ok) throw failed(`HTTP ${String(response.status)}`);
        text = await response.text();
      } catch (error) {
        throw error instanceof WeightcastError ? error : failed(reasonOf(error), error);
      }
      const usage = parseMetrics(text);
      if (usage === undefined) throw failed('process_cpu_seconds_total or process_resident_memory_bytes is not among them');
      return usage;
    },
  };
}

/** `undefined` when CPU time or memory is not told. */
export function parseMetrics(text: string): ProcessUsage | undefined {
  const valueOf = (name: string): number => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)?.[1] ?? Number.NaN);
  const total = valueOf('process_cpu_seconds_total');
  const seconds = Number.isNaN(total) ? valueOf('process_cpu_user_seconds_total') + valueOf('process_cpu_system_seconds_total') : total;
  const residentBytes = valueOf('process_resident_memory_bytes');
  return Number.isNaN(seconds) || Number.isNaN(residentBytes) ? undefined : { cpuMs: seconds * 1000, residentBytes };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
