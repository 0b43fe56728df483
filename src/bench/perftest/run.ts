/** `ib_read_bw` of perftest over the same device, in the same session: server and client on this machine. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { toWeightcastError } from '../../errors.js';
import { native } from '../../native.js';
import type { Link } from '../link/link.js';
import type { ReadBenchOptions } from '../read/options.js';
import type { PerftestRow } from '../report/report.js';
import { parsePerftest } from './parse.js';

const tool = 'ib_read_bw';
/** Not perftest's usual one, which may be in use. */
const port = '18915';
/** How long the server may take to listen, and a run to end. */
const patience = { listenMs: 30_000, runMs: 300_000 };

/** Rows of all sizes; or null and why there are none. */
export interface PerftestOutcome {
  readonly rows: readonly PerftestRow[] | null;
  readonly reason: string;
}

/** Never rejects but with ERR_ABORTED: a peer that cannot be run takes nothing from our own figures. */
export async function runPerftest(options: ReadBenchOptions, link: Link, own: boolean): Promise<PerftestOutcome> {
  const none = (reason: string): PerftestOutcome => ({ rows: null, reason });
  if (!options.perftest) return none('it was not asked for');
  if (link.transport === 'tcp') return none(`${tool} needs RDMA`);
  if (!own) return none(`the seed runs elsewhere: start ${tool} there by hand`);
  const [rail] = link.rails;
  if (rail === undefined) return none('the device is not known');
  if (link.rails.length > 1) return none(`${tool} measures one device, and ${String(link.rails.length)} were used: give one with --device`);
  if (!(await isInstalled())) return none(`${tool} is not installed (Debian: perftest)`);
  try {
    const gidIndex = options.wire.gidIndex ?? (await chosenGid(rail.device));
    const rows: PerftestRow[] = [];
    for (const size of options.sizes) {
      options.tell(`${tool}, reads of ${String(size)} bytes`);
      rows.push(await measure(argumentsOf(rail.device, gidIndex, size, options), options.signal));
    }
    return { rows, reason: '' };
  } catch (error) {
    options.signal.throwIfAborted();
    return none(toWeightcastError(error, { doing: tool }).message);
  }
}

export function argumentsOf(
  device: string,
  gidIndex: number,
  size: number,
  { run, depth }: Pick<ReadBenchOptions, 'run' | 'depth'>,
): string[] {
  const length =
    'iterations' in run ? ['-n', String(Math.max(run.iterations, 5))] : ['-D', String(Math.max(1, Math.round(run.durationMs / 1000)))];
  const inFlight = ['-o', String(depth.outstanding ?? 16), '-q', String(depth.queuePairs ?? 1)];
  return ['-d', device, '-x', String(gidIndex), '-F', '-p', port, '-s', String(size), ...length, ...inFlight];
}

async function chosenGid(device: string): Promise<number> {
  const ports = await native().listDevices();
  return Math.max(0, ports.find((candidate) => candidate.device === device && candidate.active)?.chosenGidIndex ?? 0);
}

async function isInstalled(): Promise<boolean> {
  // It knows --version, and ends at once.
  return promisify(execFile)(tool, ['--version'], { timeout: 10_000 }).then(
    () => true,
    (error: unknown) => (error as NodeJS.ErrnoException).code !== 'ENOENT',
  );
}

async function measure(args: readonly string[], signal: AbortSignal): Promise<PerftestRow> {
  const server = spawn(tool, args, { stdio: ['ignore', 'ignore', 'ignore'] });
  const ended = once(server, 'exit');
  ended.catch(() => undefined);
  try {
    const { stdout } = await connected(args, signal);
    return { ...parsePerftest(stdout), commandLine: [tool, ...args, '127.0.0.1'].join(' ') };
  } finally {
    server.kill('SIGKILL');
    await ended.catch(() => undefined);
  }
}

/** The client, tried again for as long as its server does not listen yet. */
async function connected(args: readonly string[], signal: AbortSignal): Promise<{ stdout: string }> {
  const until = performance.now() + patience.listenMs;
  for (;;) {
    try {
      return await promisify(execFile)(tool, [...args, '127.0.0.1'], { timeout: patience.runMs, signal });
    } catch (error) {
      const text = String((error as { stdout?: unknown }).stdout) + String((error as { stderr?: unknown }).stderr);
      const refused = /couldn't connect|connection refused|Failed to connect/i.test(text);
      if (!refused || performance.now() > until) throw error;
      await delay(200, undefined, { signal });
    }
  }
}
