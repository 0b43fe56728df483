/** `weightcast seed`: offer the weights of a model. */
import type { Command } from 'commander';
import type { ExitCode } from '../exit-codes.js';
import { modelNameOf } from '../model-name.js';
import {
  addCommonOptions,
  addIdentityOptions,
  addRankOption,
  addServerOption,
  addWireOptions,
  serverOf,
  wireOptionsOf,
  type CommonFlags,
  type IdentityFlags,
  type ServerFlags,
  type WireFlags,
} from '../options.js';
import { nonEmpty, seconds } from '../parse.js';
import type { CommandContext, RunCommand } from '../run.js';
import { seedSummaryLines } from '../seed-summary.js';

interface SeedFlags extends CommonFlags, IdentityFlags, ServerFlags, WireFlags {
  readonly rank?: number;
  readonly checksums: boolean;
  readonly workerId?: string;
  readonly heartbeatInterval?: number;
}

export function addSeed(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('seed'))
    .description('Offer the weights of a safetensors model until a signal ends it.')
    .argument('<model>', 'directory with safetensors files, or one such file');
  addServerOption(command);
  addIdentityOptions(command, 'model name (default: _name_or_path of config.json, else the name of the directory)');
  addRankOption(command, 'worker rank: pp_rank * tp + tp_rank (default: 0)');
  addWireOptions(command)
    .option('--no-checksums', 'do not compute checksums; targets then cannot verify')
    .option('--worker-id <id>', 'name of this worker (default: 8 random hex digits)', nonEmpty('a worker id'))
    .option('--heartbeat-interval <s>', 'time between two heartbeats (default: 30)', seconds('an interval', 0.1))
    .action((model: string, flags: SeedFlags) => run('seed', flags, (context) => seed(model, flags, context)));
}

async function seed(model: string, flags: SeedFlags, context: CommandContext): Promise<ExitCode> {
  const { io, output, signal, untilSignal } = context;
  const server = serverOf(flags, io.env);
  const modelName = flags.modelName ?? (await modelNameOf(model));
  const progress = context.progress();
  const { seedModel } = await import('../../seed/index.js');
  const { identityOf } = await import('../identity.js');
  const running = await seedModel(model, {
    identity: identityOf(flags, modelName),
    server,
    ...wireOptionsOf(flags),
    ...(flags.rank !== undefined && { rank: flags.rank }),
    ...(flags.workerId !== undefined && { workerId: flags.workerId }),
    ...(flags.heartbeatInterval !== undefined && { heartbeatIntervalMs: flags.heartbeatInterval }),
    checksums: flags.checksums,
    logger: await context.logger('warn'),
    signal,
    onPhase: (phase) => {
      progress.update(phase);
    },
  });
  progress.finish();
  const { summary } = running;
  if (flags.json === true) output.json({ event: 'ready', modelName, server, ...summary });
  else for (const line of seedSummaryLines(modelName, server, summary)) output.line(line);
  const readyAt = performance.now();
  const exitCode = await untilSignal();
  await running.close();
  const upMs = Math.round(performance.now() - readyAt);
  if (flags.json === true) output.json({ event: 'stopped', sourceId: summary.sourceId, workerId: summary.workerId, upMs });
  else output.line(`stopped: worker ${summary.workerId} does not serve any more`);
  return exitCode;
}
