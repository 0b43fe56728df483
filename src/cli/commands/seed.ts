/** `weightcast seed`: offer the weights of a model. */
import type { Command } from 'commander';
import type { SeedSummary } from '../../seed/index.js';
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
import { nonEmpty } from '../parse.js';
import type { CommandContext, RunCommand } from '../run.js';
import { addOfferOptions, seedOptionsOf, type OfferFlags } from '../seed-options.js';
import { seedSummaryLines } from '../seed-summary.js';
import { addSglangOptions, type SglangFlags } from '../sglang-options.js';
import { UsageError } from '../usage-error.js';

interface SeedFlags extends CommonFlags, IdentityFlags, ServerFlags, SecurityFlags, WireFlags, OfferFlags, SglangFlags {
  readonly checksums: boolean;
  readonly cudaIpc?: string;
}

export function addSeed(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('seed'))
    .description('Offer the weights of a safetensors model, or of an engine in another process, until a signal ends it.')
    .argument('[model]', 'directory with safetensors files, or one such file')
    .option(
      '--cuda-ipc <socket>',
      'instead of a model: the GPU memory of the engine that listens at this UNIX socket; needs --model-name',
      nonEmpty('a socket'),
    );
  addSecurityOptions(addServerOption(command));
  addIdentityOptions(command, 'model name (default: _name_or_path of config.json, else the name of the directory)');
  addRankOption(command, 'worker rank: pp_rank * tp + tp_rank (default: 0)');
  addDevicePathOptions(addTransportOption(command));
  addSglangOptions(command);
  addOfferOptions(command)
    .option('--no-checksums', 'do not compute checksums; targets then cannot verify')
    .action((model: string | undefined, flags: SeedFlags) => run('seed', flags, (context) => seed(model, flags, context)));
}

async function seed(model: string | undefined, flags: SeedFlags, context: CommandContext): Promise<ExitCode> {
  if (flags.cudaIpc !== undefined) return seedEngine(flags.cudaIpc, model, flags, context);
  if (model === undefined) throw new UsageError('say what to offer: a directory or file with safetensors, or --cuda-ipc SOCKET');
  const { signal } = context;
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
      ready(modelName, options.server, summary, context);
    },
  );
}

/** Weights that lie in another process's GPU memory: offered for as long as it keeps its connection. */
async function seedEngine(socket: string, model: string | undefined, flags: SeedFlags, context: CommandContext): Promise<ExitCode> {
  const { modelName } = flags;
  if (model !== undefined) throw new UsageError('weights come from a model or from an engine (--cuda-ipc), not from both');
  if (modelName === undefined) throw new UsageError('--cuda-ipc needs --model-name: the memory of an engine does not say what it is');
  if (acceleratorOf(flags) !== undefined)
    throw new UsageError('with --cuda-ipc the engine says which GPU its memory is on; leave out --device');
  const options = await seedOptionsOf(modelName, flags, context.io.env, await context.logger('warn'));
  const { seedTensors } = await import('../../seed/index.js');
  const { EngineMemory } = await import('../../engine/index.js');
  const engine = await EngineMemory.open(socket, { writable: false, signal: context.signal });
  const gone = new AbortController();
  const withdrawn = engine.ended.then((reason) => {
    gone.abort(reason);
    return reason?.message ?? '';
  });
  const signal = AbortSignal.any([context.signal, gone.signal]);
  const progress = context.progress();
  try {
    const exitCode = await offerUntilSignal(
      context,
      (onLost) =>
        seedTensors(engine.tensors, { ...options, checksums: flags.checksums, signal, onPhase: (phase) => progress.update(phase), onLost }),
      ({ summary }) => {
        ready(modelName, options.server, summary, context);
        void engine.serving();
      },
      withdrawn,
    );
    await engine.close();
    return exitCode;
  } catch (error) {
    // An engine that goes away aborts bringing the seed up; that is the reason, then.
    const reason: unknown = gone.signal.aborted && !context.signal.aborted ? gone.signal.reason : error;
    await engine.close(reason);
    throw reason;
  }
}

function ready(modelName: string, server: string | undefined, summary: SeedSummary, { flags, output }: CommandContext): void {
  if (flags.json === true) output.json({ event: 'ready', modelName, ...(server !== undefined && { server }), ...summary });
  else for (const line of seedSummaryLines(modelName, server, summary)) output.line(line);
}
