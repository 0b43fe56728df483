/** `weightcast bench metadata`. */
import { Option, type Command } from 'commander';
import { benchmarkNames, type BenchmarkName } from '../../bench/metadata/names.js';
import { addCommonOptions, addSecurityOptions, securityOf, type CommonFlags, type SecurityFlags } from '../options.js';
import { httpUrl, integer, integers, nonEmpty, oneOf, seconds, serverAddress, someOf } from '../parse.js';
import type { CommandContext, RunCommand } from '../run.js';
import { UsageError } from '../usage-error.js';

interface MetadataFlags extends CommonFlags, SecurityFlags {
  readonly server?: string;
  readonly metrics?: string;
  readonly store?: 'memory' | 'durable' | 'redis';
  readonly storePath?: string;
  readonly redisUrl?: string;
  readonly only?: readonly BenchmarkName[];
  readonly repetitions: number;
  readonly seconds: number;
  readonly connections: readonly number[];
  readonly publishTensors: number;
  readonly workers: number;
  readonly tensors: number;
  readonly residentWorkers: number;
  readonly residentTensors: number;
}

/** Numbers that say how much is measured. Commander shows their defaults. */
const sizes = {
  repetitions: ['--repetitions <n>', 'how often everything is measured', integer('a number of repetitions', 1, 1000), 5],
  seconds: ['--seconds <s>', 'length of one measurement', seconds('a length', 0.1), 3000, '3'],
  connections: [
    '--connections <n,…>',
    'connections that publish and send heartbeats',
    integers('numbers of connections', 1, 10_000),
    [1, 16, 64],
    '1,16,64',
  ],
  publishTensors: ['--publish-tensors <n>', 'tensors of each worker that they publish', integer('a number of tensors', 0, 500_000), 64],
  workers: ['--workers <n>', 'workers of the source that is listed', integer('a number of workers', 1, 1_000_000), 10_000],
  tensors: ['--tensors <n>', 'tensors of the worker that is got', integer('a number of tensors', 0, 500_000), 50_000],
  residentWorkers: ['--resident-workers <n>', 'workers whose memory is measured', integer('a number of workers', 1, 1_000_000), 1000],
  residentTensors: ['--resident-tensors <n>', 'tensors of each of them', integer('a number of tensors', 0, 500_000), 2000],
} as const;

export function addMetadata(bench: Command, run: RunCommand): void {
  const command = addCommonOptions(bench.command('metadata'))
    .description('Measure a metadata server: one that runs, or one started for it.')
    .addOption(
      new Option('--server <url>', 'server that runs, host:port, https:// for TLS (default: one of its own)')
        .argParser(serverAddress('the metadata server'))
        .conflicts(['store', 'storePath', 'redisUrl']),
    )
    .option(
      '--metrics <url>',
      "that server's metrics, http://host:port/metrics: where its CPU time and memory are read",
      httpUrl('the metrics'),
    )
    .option(
      '--store <kind>',
      'store of its own server: memory, durable or redis (default: memory)',
      oneOf('a store', ['memory', 'durable', 'redis']),
    )
    .option('--store-path <folder>', 'folder of its durable store', nonEmpty('a folder'))
    .option('--redis-url <url>', 'Redis of its redis store', nonEmpty('a URL'))
    .option('--only <names>', `some of ${benchmarkNames.join(',')} (default: all)`, someOf('benchmarks', benchmarkNames));
  for (const [flags, help, parse, usual, shown] of Object.values(sizes)) {
    command.addOption(new Option(flags, help).argParser<unknown>(parse).default(usual, shown));
  }
  addSecurityOptions(command).action((flags: MetadataFlags) => run('bench metadata', flags, (context) => metadata(flags, context)));
}

/** Flags that say nothing of a server that is started here. */
const foreignOnly = ['metrics', 'tlsCa', 'tlsCert', 'tlsKey', 'tlsServerName', 'tokenFile'] as const;

async function metadata(flags: MetadataFlags, context: CommandContext): Promise<undefined> {
  const { io, output, signal } = context;
  const { server: address } = flags;
  if (address === undefined && foreignOnly.some((flag) => flags[flag] !== undefined)) {
    throw new UsageError('--metrics, --tls-… and --token-file are for a server that runs: give --server host:port');
  }
  const { benchMetadata } = await import('../../bench/metadata/run.js');
  const { startOwnServer } = await import('./own-server.js');
  const { renderReport } = await import('./metadata-table.js');
  const report = await benchMetadata({
    server:
      address === undefined
        ? {
            start: (until) =>
              startOwnServer({ store: flags.store ?? 'memory', storePath: flags.storePath, redisUrl: flags.redisUrl }, io.env, until),
          }
        : { address, metricsUrl: flags.metrics, security: securityOf(flags, io.env, await context.logger('warn')) },
    only: flags.only ?? benchmarkNames,
    repetitions: flags.repetitions,
    durationMs: flags.seconds,
    connections: flags.connections,
    publishTensors: flags.publishTensors,
    workers: flags.workers,
    tensors: flags.tensors,
    residentWorkers: flags.residentWorkers,
    residentTensors: flags.residentTensors,
    signal,
    tell: (text) => {
      if (flags.quiet !== true) output.note(text);
    },
  });
  if (flags.json === true) output.json(report);
  else for (const line of renderReport(report)) output.line(line);
  return undefined;
}
