/** `weightcast mirror`: read a source's weights once, and offer them from this host's memory. */
import { Option, type Command } from 'commander';
import type { Logger } from '../../observe/logger.js';
import type { MirrorOptions, MirrorSource } from '../../mirror/index.js';
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
import { httpUrl, nonEmpty, oneOf } from '../parse.js';
import { addReadOptions, readOptionsOf, transferOptionsOf, type ReadFlags } from '../read-options.js';
import type { CommandContext, RunCommand } from '../run.js';
import { addOfferOptions, seedOptionsOf, type OfferFlags } from '../seed-options.js';
import { addSglangOptions, type SglangFlags } from '../sglang-options.js';
import { UsageError } from '../usage-error.js';

type Environment = Readonly<Record<string, string | undefined>>;

interface MirrorFlags extends CommonFlags, IdentityFlags, ServerFlags, SecurityFlags, WireFlags, ReadFlags, OfferFlags, SglangFlags {
  readonly fromSglang?: string;
  readonly like?: string;
  readonly verify?: 'auto' | 'none';
}

export function addMirror(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('mirror')).description(
    'Read the weights of a source once and offer them from the memory of this host until a signal ends it.',
  );
  addSecurityOptions(addServerOption(command));
  addIdentityOptions(command, 'model name of source and mirror (required)');
  addRankOption(command, "worker rank, the source's and the mirror's (default: 0)");
  addWireOptions(command);
  addReadOptions(command)
    .addOption(
      new Option('--from-sglang <url>', 'read rank --rank of the SGLang instance at http://host:port, not a worker of the metadata server')
        .argParser(httpUrl('an SGLang server'))
        .conflicts(['selector', 'maxSources', 'report']),
    )
    .option(
      '--like <path>',
      'checkpoint that says dtypes and shapes of tensors whose source does not, and whose other files are offered where it fits',
      nonEmpty('a checkpoint'),
    )
    .option(
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
    throw new UsageError(
      '--model-name is required: the name that the source published (weightcast sources lists them), which is the name of the mirror, too',
    );
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

async function mirrorOptionsOf(modelName: string, flags: MirrorFlags, env: Environment, logger: Logger): Promise<MirrorOptions> {
  return {
    ...(await seedOptionsOf(modelName, flags, env, logger)),
    source: await sourceOf(flags, env, logger),
    ...(flags.verify !== undefined && { verify: flags.verify }),
  };
}

/** What the environment and the flags say of a metadata server, its token above all, is not for SGLang; certificates are for both. */
async function sourceOf(flags: MirrorFlags, env: Environment, logger: Logger): Promise<MirrorSource> {
  const like = flags.like === undefined ? {} : { like: flags.like };
  const { fromSglang: sglang, wait: waitMs, tlsCa: caFile, tlsCert: certFile, tlsKey: keyFile } = flags;
  if (sglang === undefined) return { ...(await readOptionsOf(flags, env, logger)), ...like };
  const security = { tls: { caFile, certFile, keyFile } };
  return { sglang, security, ...(waitMs !== undefined && { waitMs }), ...(await transferOptionsOf(flags, env, logger)), ...like };
}
