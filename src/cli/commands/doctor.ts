/** `weightcast doctor`: what is here, and why RDMA is not used if it is not. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.js';
import { addCommonOptions, type CommonFlags } from '../options.js';
import type { CommandContext, RunCommand } from '../run.js';

export function addDoctor(program: Command, run: RunCommand): void {
  addCommonOptions(program.command('doctor'))
    .description('Show devices, limits and paths of this machine, and which transport would be used.')
    .action((flags: CommonFlags) => run('doctor', flags, (context) => doctor(flags, context)));
}

async function doctor(flags: CommonFlags, { output }: CommandContext): Promise<ExitCode> {
  const { gatherReport } = await import('../doctor/report.js');
  const { reportLines } = await import('../doctor/render.js');
  const report = await gatherReport();
  if (flags.json === true) output.json(report);
  else for (const line of reportLines(report)) output.line(line);
  return report.addon.reason === '' ? ExitCode.ok : ExitCode.transportUnavailable;
}
