/** `weightcast mirror`: read a source's weights once, and offer them from this host's memory. */
import type { Command } from 'commander';
import type { Logger } from '../../observe/logger.js';
import type { MirrorOptions } from '../../mirror/index.js';
import type { ExitCode } from '../exit-codes.js';
import { mirrorSummaryLines } from '../mirror-summary.js';
import { offerUntilSignal } from '../offer.js';
import {
  addCommonOptions,
  addIdentityOptions,
  addRankOption,
  addSecurityOptions,
  addServerOption,
  addWireOptions,
  type CommonFlags,
  type IdentityFlags,
  type SecurityFlags,
  type ServerFlags,
  type WireFlags,
} from '../options.js';
import { oneOf } from '../parse.js';
import { addReadOptions, readOptionsOf, type ReadFlags } from '../read-options.js';
import type { CommandContext, RunCommand } from '../run.js';
import { addOfferOptions, seedOptionsOf, type OfferFlags } from '../seed-options.js';
import { addSglangOptions, type SglangFlags } from '../sglang-options.js';
import { UsageError } from '../usage-error.js';

interface MirrorFlags extends CommonFlags, IdentityFlags, ServerFlags, SecurityFlags, WireFlags, ReadFlags, OfferFlags, SglangFlags {
  readonly verify?: 'auto' | 'none';
}

export function addMirror(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('mirror')).description(
    'Read the weights of a source once and offer them from the memory of this host until a signal ends it.',
  );
  addSecurityOptions(addServerOption(command));
  addIdentityOptions(command, 'model name that the source published (required)');
  addRankOption(command, "worker rank, the source's and the mirror's (default: 0)");
  addWireOptions(command);
  addReadOptions(command).option(
    '--verify <how>',
    'auto: by checksums, or by a second read where the source has none; none: serve what was read as it is (default: auto)',
    oneOf('a way to verify', ['auto', 'none']),
  );
  addSglangOptions(command);
  addOfferOptions(command).action((flags: MirrorFlags) => run('mirror', flags, (context) => mirror(flags, context)));
}

async function mirror(flags: MirrorFlags, context: CommandContext): Promise<ExitCode> {
  const { output, signal } = context;
  const { modelName } = flags;
  if (modelName === undefined)
    throw new UsageError('--model-name is required: the name that the source published (weightcast sources lists them)');
  const options = await mirrorOptionsOf(modelName, flags, context.io.env, await context.logger('warn'));
  const { mirror: startMirror } = await import('../../mirror/index.js');
  const progress = context.progress();
  return offerUntilSignal(
    context,
    (onLost) =>
      startMirror({
        ...options,
        signal,
        onPhase: (phase) => progress.update(phase),
        onProgress: ({ phase, bytes, totalBytes }) => progress.update(phase, bytes, totalBytes),
        onLost,
      }),
    ({ summary }) => {
      const { server } = options;
      if (flags.json === true) output.json({ event: 'ready', modelName, ...(server !== undefined && { server }), ...summary });
      else for (const line of mirrorSummaryLines(modelName, server, summary)) output.line(line);
    },
  );
}

async function mirrorOptionsOf(
  modelName: string,
  flags: MirrorFlags,
  env: Readonly<Record<string, string | undefined>>,
  logger: Logger,
): Promise<MirrorOptions> {
  return {
    ...(await seedOptionsOf(modelName, flags, env, logger)),
    source: await readOptionsOf(flags, env, logger),
    ...(flags.verify !== undefined && { verify: flags.verify }),
  };
}
