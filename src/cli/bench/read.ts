/** `weightcast bench read`. */
import { Option, type Command } from 'commander';
import type { ReadBenchOptions } from '../../bench/read/options.js';
import { byteSizes, integer, seconds } from '../parse.js';
import type { ExitCode } from '../exit-codes.js';
import type { CommandContext, RunCommand } from '../run.js';
import {
  addBenchCommonOptions,
  addBenchWireOptions,
  addDepthOptions,
  addPairOptions,
  addReportOptions,
  bufferOption,
  checkPair,
  depthOf,
  wireOf,
  type BenchWireFlags,
  type DepthFlags,
  type PairFlags,
  type ReportFlags,
} from './flags.js';

interface ReadFlags extends ReportFlags, BenchWireFlags, DepthFlags, PairFlags {
  readonly size?: readonly number[];
  readonly all?: true;
  readonly iters: number;
  readonly duration?: number;
  readonly buffer?: number;
  readonly latencySamples: number;
  readonly perftest: boolean;
}

/** Several times what a processor caches. */
const usualBuffer = 2 ** 28;

export function addRead(bench: Command, run: RunCommand): void {
  const command = addBenchCommonOptions(bench.command('read'))
    .description('Measure reads: rate and latency by size, over RDMA or TCP.')
    .option('-s, --size <bytes,…>', 'bytes of a read, one size or several (default: 65536)', byteSizes('a size', 1, 2 ** 30))
    .addOption(new Option('-a, --all', 'all sizes from 2 bytes to 8 MiB').conflicts('size'))
    .addOption(new Option('-n, --iters <n>', 'reads of each size').argParser(integer('a number of reads', 1)).default(1000))
    .addOption(new Option('-D, --duration <s>', 'time for each size, in the place of a number of reads').argParser(seconds('a time', 0.1)))
    .addOption(bufferOption('256MiB'))
    .addOption(
      new Option('--latency-samples <n>', 'lone reads of each size, for their latency; 0: none')
        .argParser(integer('a number of reads', 0, 100_000))
        .default(30),
    )
    .option('--no-perftest', 'do not run ib_read_bw beside it');
  addReportOptions(addPairOptions(addDepthOptions(addBenchWireOptions(command)), 'a buffer')).action((flags: ReadFlags) =>
    run('bench read', flags, (context) => read(flags, context)),
  );
}

async function read(flags: ReadFlags, context: CommandContext): Promise<ExitCode> {
  const { signal, output } = context;
  checkPair(flags);
  const depth = depthOf(flags, flags.transport ?? 'auto');
  const wire = await wireOf(flags, flags.connect === undefined && flags.serve === undefined ? '127.0.0.1' : undefined);
  const { serve, targetOf } = await import('./pair.js');
  const { sweep } = await import('../../bench/read/plan.js');
  const { benchRead } = await import('../../bench/read/run.js');
  const { bufferName } = await import('../../bench/read/reader.js');
  const buffer = flags.buffer ?? usualBuffer;
  if (flags.serve === true) {
    const specs = [{ name: bufferName, dtype: 'U8' as const, shape: [buffer] }];
    return serve({ listen: flags.listen, name: bufferName, specs, checksums: false, wire }, context);
  }
  const options: ReadBenchOptions = {
    target: targetOf(flags.connect, ['bench', 'read', '--buffer', String(buffer)], wire),
    wire,
    depth,
    sizes: flags.all === true ? sweep : (flags.size ?? [65_536]),
    run: flags.duration === undefined ? { iterations: flags.iters } : { durationMs: flags.duration },
    loneReads: flags.latencySamples,
    perftest: flags.perftest,
    signal,
    tell: (text) => {
      if (flags.quiet !== true) output.note(text);
    },
  };
  const { measureAndShow } = await import('./emit.js');
  return measureAndShow(flags, context, () => benchRead(options));
}
