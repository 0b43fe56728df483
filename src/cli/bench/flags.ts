/** Flags that benchmarks of the data plane share, perftest's letters where they mean the same, and what they become. */
import { Option, type Command } from 'commander';
import type { Wire } from '../../bench/source/offer.js';
import type { Depth } from '../../bench/read/options.js';
import { addTransportOption, type CommonFlags } from '../options.js';
import { byteSize, deviceList, hostAddress, hostAndPort, integer, nonEmpty, percent } from '../parse.js';
import { UsageError } from '../usage-error.js';

/** `-q` is perftest's here: queue pairs. */
export function addBenchCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print JSON on stdout instead of text')
    .addOption(new Option('--quiet', 'no progress, no logs but errors').conflicts('verbose'))
    .option('-v, --verbose', 'log every step on stderr');
}

export interface BenchWireFlags {
  readonly transport?: 'auto' | 'rdma' | 'tcp';
  readonly device?: readonly string[];
  readonly rails?: number;
  readonly gidIndex?: number;
  readonly host?: string;
}

export function addBenchWireOptions(command: Command): Command {
  return addTransportOption(command)
    .option('-d, --device <names>', 'RDMA devices, separated by commas (default: all with an active port)', deviceList)
    .addOption(
      new Option('--rails <n>', 'the first so many RDMA devices').argParser(integer('a number of rails', 1, 64)).conflicts('device'),
    )
    .option('-x, --gid-index <n>', 'GID index on every device (default: RoCEv2 over IPv4 first)', integer('a GID index', 0, 255))
    .option('--host <address>', 'address that peers reach this host at (default: 127.0.0.1 with a seed of its own)', hostAddress);
}

/** @param usualHost where `--host` says nothing. @throws UsageError for rails without RDMA, what {@link firstRails} throws. */
export async function wireOf(flags: BenchWireFlags, usualHost: string | undefined): Promise<Wire> {
  const { transport = 'auto', device, rails, gidIndex, host = usualHost } = flags;
  if (transport === 'tcp' && (rails !== undefined || device !== undefined))
    throw new UsageError('--rails and --device say nothing over tcp');
  const devices = rails === undefined ? device : await (await import('../../bench/link/first-rails.js')).firstRails(rails);
  return {
    transport,
    ...(devices !== undefined && { devices }),
    ...(gidIndex !== undefined && { gidIndex }),
    ...(host !== undefined && { host }),
  };
}

export interface DepthFlags {
  readonly outs?: number;
  readonly qp?: number;
}

export function addDepthOptions(command: Command): Command {
  return command
    .option('-o, --outs <n>', 'reads outstanding on each queue pair, RDMA only (default: 16)', integer('a number of reads', 1, 1024))
    .option(
      '-q, --qp <n>',
      'queue pairs a rail (default: 1); connections over TCP (default: 4)',
      integer('a number of queue pairs', 1, 256),
    );
}

export function depthOf({ outs, qp }: DepthFlags, transport: Wire['transport']): Depth {
  if (transport === 'tcp' && outs !== undefined) {
    throw new UsageError('--outs is for RDMA: a TCP connection has one read outstanding; give more connections with --qp');
  }
  return { outstanding: outs, queuePairs: qp };
}

export interface PairFlags {
  readonly connect?: string;
  readonly serve?: true;
  readonly listen?: string;
}

/** @param other what was started elsewhere. */
export function addConnectOption(command: Command, other: string): Command {
  return command.option(
    '--connect <address>',
    `read from a ${other} elsewhere, host:port (default: a seed of its own, in a process beside)`,
    hostAndPort('the other side', 1),
  );
}

/** Flags that say where the other side is. */
export function addPairOptions(command: Command, whatIsServed: string): Command {
  return addConnectOption(command, '--serve')
    .addOption(
      new Option('--serve', `offer ${whatIsServed} until a signal ends it, and measure nothing`).conflicts([
        'connect',
        'report',
        'compare',
      ]),
    )
    .option('--listen <address>', 'where --serve waits, host:port (default: 127.0.0.1:18515)', hostAndPort('an address', 0));
}

/** @throws UsageError */
export function checkPair({ serve, listen }: PairFlags): void {
  if (listen !== undefined && serve !== true) throw new UsageError('--listen belongs to --serve');
}

export interface ReportFlags extends CommonFlags {
  readonly report?: string;
  readonly compare?: string;
  readonly tolerance: number;
}

export function addReportOptions(command: Command): Command {
  return command
    .option('--report <file>', 'write a page with charts, HTML that needs nothing else', nonEmpty('a file'))
    .option(
      '--compare <file>',
      'what --json printed before: exit code 9 when a figure is worse by more than the tolerance',
      nonEmpty('a file'),
    )
    .addOption(new Option('--tolerance <percent>', 'of --compare').argParser(percent('a tolerance')).default(0.1, '10'));
}

export const bufferOption = (usual: string): Option =>
  new Option('--buffer <bytes>', `memory on either side that is read through (default: ${usual}); of --serve where there is one`)
    .argParser(byteSize('a buffer', 4096, 2 ** 40))
    .conflicts('connect');
