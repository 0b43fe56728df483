/** The command line as a whole. Importing it costs little: every command loads the library when it runs. */
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../version.js';
import { addBench } from './commands/bench.js';
import { addDemo } from './commands/demo.js';
import { addDoctor } from './commands/doctor.js';
import { addHealth } from './commands/health.js';
import { addMirror } from './commands/mirror.js';
import { addPull } from './commands/pull.js';
import { addSeed } from './commands/seed.js';
import { addServe } from './commands/serve.js';
import { addSources } from './commands/sources.js';
import { ExitCode } from './exit-codes.js';
import type { CliIo } from './io.js';
import { Output } from './output.js';
import { reportError } from './report-error.js';
import { runCommand, type RunCommand } from './run.js';
import { UsageError } from './usage-error.js';

/** Runs a command line and returns its exit code. @param argv without the interpreter and the script. */
export async function main(argv: readonly string[], io: CliIo): Promise<ExitCode> {
  let code: ExitCode = ExitCode.ok;
  const program = buildProgram(io, async (name, flags, body) => {
    code = await runCommand(io, name, flags, body);
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return ExitCode.ok;
    if (argv.length === 0) io.stderr.write(program.helpInformation());
    const command = program.commands.map((candidate) => candidate.name()).find((name) => name === argv[0]);
    return await reportError(usageErrorOf(error), {
      command,
      output: new Output(io),
      json: argv.includes('--json'),
      verbose: false,
      signal: undefined,
    });
  }
}

/** The program with all commands; their actions call `run`. */
export function buildProgram(io: CliIo, run: RunCommand): Command {
  const program = new Command('weightcast')
    .description('Moves model weights between processes by one-sided RDMA READ, over TCP where there is no RDMA.')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      // Errors are reported by us, in one form.
      writeErr: () => undefined,
    })
    .enablePositionalOptions();
  for (const add of [addServe, addSeed, addPull, addMirror, addSources, addHealth, addDoctor, addDemo, addBench]) add(program, run);
  return program;
}

function usageErrorOf(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  if (error.code === 'commander.help') return new UsageError('no command given');
  return new UsageError(error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' '));
}
