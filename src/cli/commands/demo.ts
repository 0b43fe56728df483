/** `weightcast demo`: all of it on one machine, in separate processes, every byte checked. */
import { Option, type Command } from 'commander';
import { formatMs } from '../format.js';
import { addCommonOptions, addTransportOption, type CommonFlags } from '../options.js';
import { byteSize, nonEmpty } from '../parse.js';
import type { CommandContext, RunCommand } from '../run.js';

interface DemoFlags extends CommonFlags {
  readonly model?: string;
  readonly bytes?: number;
  readonly transport?: 'auto' | 'rdma' | 'tcp';
}

const defaultBytes = 256_000_000;
/** What the shapes can be scaled to. */
const leastBytes = 1_000_000;
const mostBytes = 15_231_233_024;

export function addDemo(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('demo'))
    .description('Run server, seed and target as separate processes here, and compare every byte.')
    .option('--model <dir>', 'model to move (default: one generated with the tensors of Qwen2.5-7B, scaled)', nonEmpty('a directory'))
    .addOption(
      new Option('--bytes <n>', 'size of the generated model (default: 256MB)')
        .argParser(byteSize('a size', leastBytes, mostBytes))
        .conflicts('model'),
    );
  addTransportOption(command).action((flags: DemoFlags) => run('demo', flags, (context) => demo(flags, context)));
}

async function demo(flags: DemoFlags, { output, signal }: CommandContext): Promise<undefined> {
  const { runDemo } = await import('../demo/run.js');
  const json = flags.json === true;
  if (!json) output.line('Weightcast demo: a metadata server, a seed and a target, three processes on this machine.');
  const result = await runDemo({
    model: flags.model,
    bytes: flags.bytes ?? defaultBytes,
    transport: flags.transport ?? 'auto',
    verbose: flags.verbose === true,
    quiet: flags.quiet === true,
    signal,
    tell: (step, text) => {
      if (!json) output.line(`${step.padEnd(8)}${text}`);
    },
  });
  if (json) output.json(result);
  else output.line(`done    every byte equal over ${result.transport}, in ${formatMs(result.totalMs)}`);
  return undefined;
}
