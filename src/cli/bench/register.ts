/** `weightcast bench register`. */
import type { Command } from 'commander';
import type { ExitCode } from '../exit-codes.js';
import { integer, nonEmpty } from '../parse.js';
import type { CommandContext, RunCommand } from '../run.js';
import { addBenchCommonOptions, addReportOptions, type ReportFlags } from './flags.js';
import { addShapeOptions, type ShapeFlags } from './model.js';

interface RegisterFlags extends ReportFlags, ShapeFlags {
  readonly device?: string;
  readonly gidIndex?: number;
}

export function addRegister(bench: Command, run: RunCommand): void {
  const command = addBenchCommonOptions(bench.command('register'))
    .description('Measure registering memory with an RDMA device: tensor by tensor, and in one piece.')
    .option('-d, --device <name>', 'RDMA device (default: the first with an active port)', nonEmpty('a device'))
    .option('-x, --gid-index <n>', 'its GID index (default: RoCEv2 over IPv4 first)', integer('a GID index', 0, 255));
  addReportOptions(addShapeOptions(command, 8)).action((flags: RegisterFlags) =>
    run('bench register', flags, (context) => register(flags, context)),
  );
}

async function register(flags: RegisterFlags, context: CommandContext): Promise<ExitCode> {
  const { benchRegister } = await import('../../bench/register/run.js');
  const { shapes, scale, repetitions, device, gidIndex } = flags;
  const tell = (text: string): void => {
    if (flags.quiet !== true) context.output.note(text);
  };
  const { measureAndShow } = await import('./emit.js');
  return measureAndShow(flags, context, () =>
    benchRegister({ shapes, scale, repetitions, device, gidIndex, signal: context.signal, tell }),
  );
}
