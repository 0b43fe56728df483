/** `weightcast seed`: offer the weights of a model. */
import type { Command } from 'commander';
import type { ExitCode } from '../exit-codes.js';
import { modelNameOf } from '../model-name.js';
import { offerUntilSignal } from '../offer.js';
import {
  acceleratorOf,
  addCommonOptions,
  addDevicePathOptions,
  addIdentityOptions,
  addRankOption,
  addSecurityOptions,
  addServerOption,
  addTransportOption,
  type CommonFlags,
  type IdentityFlags,
  type SecurityFlags,
  type ServerFlags,
  type WireFlags,
} from '../options.js';
import type { CommandContext, RunCommand } from '../run.js';
import { addOfferOptions, seedOptionsOf, type OfferFlags } from '../seed-options.js';
import { seedSummaryLines } from '../seed-summary.js';
import { addSglangOptions, type SglangFlags } from '../sglang-options.js';

interface SeedFlags extends CommonFlags, IdentityFlags, ServerFlags, SecurityFlags, WireFlags, OfferFlags, SglangFlags {
  readonly checksums: boolean;
}

export function addSeed(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('seed'))
    .description('Offer the weights of a safetensors model until a signal ends it.')
    .argument('<model>', 'directory with safetensors files, or one such file');
  addSecurityOptions(addServerOption(command));
  addIdentityOptions(command, 'model name (default: _name_or_path of config.json, else the name of the directory)');
  addRankOption(command, 'worker rank: pp_rank * tp + tp_rank (default: 0)');
  addDevicePathOptions(addTransportOption(command));
  addSglangOptions(command);
  addOfferOptions(command)
    .option('--no-checksums', 'do not compute checksums; targets then cannot verify')
    .action((model: string, flags: SeedFlags) => run('seed', flags, (context) => seed(model, flags, context)));
}

async function seed(model: string, flags: SeedFlags, context: CommandContext): Promise<ExitCode> {
  const { output, signal } = context;
  const modelName = flags.modelName ?? (await modelNameOf(model));
  const options = await seedOptionsOf(modelName, flags, context.io.env, await context.logger('warn'));
  const { seedModel } = await import('../../seed/index.js');
  const progress = context.progress();
  const on = acceleratorOf(flags);
  const where = on === undefined ? {} : { on };
  return offerUntilSignal(
    context,
    (onLost) =>
      seedModel(model, { ...options, ...where, checksums: flags.checksums, signal, onPhase: (phase) => progress.update(phase), onLost }),
    ({ summary }) => {
      const { server } = options;
      if (flags.json === true) output.json({ event: 'ready', modelName, ...(server !== undefined && { server }), ...summary });
      else for (const line of seedSummaryLines(modelName, server, summary)) output.line(line);
    },
  );
}
