/** `weightcast bench fanout`. */
import { Option, type Command } from 'commander';
import type { ExitCode } from '../exit-codes.js';
import { byteSize, integer } from '../parse.js';
import type { CommandContext, RunCommand } from '../run.js';
import {
  addBenchCommonOptions,
  addBenchWireOptions,
  addConnectOption,
  addDepthOptions,
  addReportOptions,
  bufferOption,
  depthOf,
  wireOf,
  type BenchWireFlags,
  type DepthFlags,
  type ReportFlags,
} from './flags.js';

interface FanoutFlags extends ReportFlags, BenchWireFlags, DepthFlags {
  readonly connect?: string;
  readonly targets: number;
  readonly size: number;
  readonly buffer?: number;
  readonly repetitions: number;
}

const usualBuffer = 2 ** 27;

export function addFanout(bench: Command, run: RunCommand): void {
  const command = addBenchCommonOptions(bench.command('fanout'))
    .description('Measure several targets that read from one seed at the same time.')
    .addOption(new Option('--targets <n>', 'at the same time').argParser(integer('a number of targets', 1, 1024)).default(4))
    .addOption(new Option('-s, --size <bytes>', 'bytes of a read').argParser(byteSize('a size', 1, 2 ** 30)).default(2 ** 20, '1MiB'))
    .addOption(bufferOption('128MiB'))
    .addOption(new Option('--repetitions <n>', 'how often').argParser(integer('a number of repetitions', 1, 1000)).default(5));
  addReportOptions(addConnectOption(addDepthOptions(addBenchWireOptions(command)), 'bench read --serve')).action((flags: FanoutFlags) =>
    run('bench fanout', flags, (context) => fanout(flags, context)),
  );
}

async function fanout(flags: FanoutFlags, context: CommandContext): Promise<ExitCode> {
  const { signal, output } = context;
  const { targets, size, repetitions } = flags;
  const depth = depthOf(flags, flags.transport ?? 'auto');
  const wire = await wireOf(flags, flags.connect === undefined ? '127.0.0.1' : undefined);
  const { targetOf } = await import('./pair.js');
  const { benchFanout } = await import('../../bench/fanout/run.js');
  const target = targetOf(flags.connect, ['bench', 'read', '--buffer', String(flags.buffer ?? usualBuffer)], wire);
  const tell = (text: string): void => {
    if (flags.quiet !== true) output.note(text);
  };
  const { measureAndShow } = await import('./emit.js');
  return measureAndShow(flags, context, () => benchFanout({ target, wire, depth, targets, size, repetitions, signal, tell }));
}
