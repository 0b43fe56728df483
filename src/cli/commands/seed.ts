/** `weightcast seed`: offer the weights of a model. */
import type { Command } from 'commander';
import type { WeightcastError } from '../../errors.js';
import type { Logger } from '../../observe/logger.js';
import type { SeedOptions } from '../../seed/index.js';
import type { ExitCode } from '../exit-codes.js';
import { modelNameOf } from '../model-name.js';
import {
  addCommonOptions,
  addIdentityOptions,
  addRankOption,
  addSecurityOptions,
  addServerOption,
  addWireOptions,
  securityOf,
  serverOf,
  wireOptionsOf,
  type CommonFlags,
  type IdentityFlags,
  type SecurityFlags,
  type ServerFlags,
  type WireFlags,
} from '../options.js';
import { nonEmpty, seconds } from '../parse.js';
import type { CommandContext, RunCommand } from '../run.js';
import { addOfferOptions, offerOptionsOf, type OfferFlags } from '../seed-options.js';
import { seedSummaryLines } from '../seed-summary.js';

interface SeedFlags extends CommonFlags, IdentityFlags, ServerFlags, SecurityFlags, WireFlags, OfferFlags {
  readonly rank?: number;
  readonly checksums: boolean;
  readonly workerId?: string;
  readonly heartbeatInterval?: number;
}

export function addSeed(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('seed'))
    .description('Offer the weights of a safetensors model until a signal ends it.')
    .argument('<model>', 'directory with safetensors files, or one such file');
  addSecurityOptions(addServerOption(command));
  addIdentityOptions(command, 'model name (default: _name_or_path of config.json, else the name of the directory)');
  addRankOption(command, 'worker rank: pp_rank * tp + tp_rank (default: 0)');
  addWireOptions(command);
  addOfferOptions(command)
    .option('--no-checksums', 'do not compute checksums; targets then cannot verify')
    .option('--worker-id <id>', 'name of this worker (default: 8 random hex digits)', nonEmpty('a worker id'))
    .option(
      '--heartbeat-interval <s>',
      'time between two heartbeats (default: MX_HEARTBEAT_INTERVAL_SECS, else 30)',
      seconds('an interval', 0.1),
    )
    .action((model: string, flags: SeedFlags) => run('seed', flags, (context) => seed(model, flags, context)));
}

async function seed(model: string, flags: SeedFlags, context: CommandContext): Promise<ExitCode> {
  const { output, signal } = context;
  const modelName = flags.modelName ?? (await modelNameOf(model));
  let onLost: (error: WeightcastError) => void = () => undefined;
  const lost = new Promise<never>((_resolve, reject) => {
    onLost = reject;
  });
  // It may come to that while nobody waits for it.
  lost.catch(() => undefined);
  const options = await seedOptionsOf(modelName, flags, context, await context.logger('warn'));
  const { seedModel } = await import('../../seed/index.js');
  const progress = context.progress();
  await using running = await seedModel(model, {
    ...options,
    signal,
    onPhase: (phase) => {
      progress.update(phase);
    },
    onLost,
  });
  progress.finish();
  const { summary } = running;
  const { server } = options;
  if (flags.json === true) output.json({ event: 'ready', modelName, server, ...summary });
  else for (const line of seedSummaryLines(modelName, server, summary)) output.line(line);
  const readyAt = performance.now();
  const exitCode = await Promise.race([context.untilSignal(), lost]);
  await running.close();
  const upMs = Math.round(performance.now() - readyAt);
  if (flags.json === true) output.json({ event: 'stopped', sourceId: summary.sourceId, workerId: summary.workerId, upMs });
  else output.line(`stopped: worker ${summary.workerId} does not serve any more`);
  return exitCode;
}

/** Flag before environment. */
async function seedOptionsOf(modelName: string, flags: SeedFlags, { io }: CommandContext, logger: Logger): Promise<SeedOptions> {
  const server = serverOf(flags, io.env);
  const security = securityOf(flags, io.env, logger);
  const { environmentSeed } = await import('../../seed/index.js');
  const { identityOf } = await import('../identity.js');
  return {
    identity: identityOf(flags, modelName, io.env),
    server,
    security,
    ...(await environmentSeed(io.env, logger)),
    ...wireOptionsOf(flags),
    ...offerOptionsOf(flags),
    ...(flags.rank !== undefined && { rank: flags.rank }),
    ...(flags.workerId !== undefined && { workerId: flags.workerId }),
    ...(flags.heartbeatInterval !== undefined && { heartbeatIntervalMs: flags.heartbeatInterval }),
    checksums: flags.checksums,
    logger,
  };
}
