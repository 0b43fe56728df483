/** Flags of `pull` that say where its source comes from, and what they become. */
import { Option, type Command } from 'commander';
import type { Logger } from '../observe/logger.js';
import type { ClientSecurity } from '../security/tls-files.js';
import type { FromRegistry, FromSglang } from '../target/index.js';
import { securityOf, serverOf, type IdentityFlags, type SecurityFlags, type ServerFlags } from './options.js';
import { httpUrl, nonEmpty } from './parse.js';
import { selectionOptionsOf, type ReadFlags } from './read-options.js';
import { UsageError } from './usage-error.js';

export interface OriginFlags extends IdentityFlags, ServerFlags, SecurityFlags, ReadFlags {
  readonly rank?: number;
  readonly fromSglang?: string;
  readonly accelerator?: string;
  readonly workerId?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What only a metadata server needs to be told. */
const ofServer: readonly (keyof OriginFlags)[] = [
  ...(['server', 'modelName', 'framework', 'tp', 'pp', 'ep', 'dtype', 'quantization', 'revision', 'mxVersion'] as const),
  ...(['selector', 'maxSources', 'accelerator', 'workerId', 'report'] as const),
];

export function addOriginOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--from-sglang <url>', 'read rank --rank of the SGLang instance at http://host:port; no metadata server is asked')
        .argParser(httpUrl('an SGLang server'))
        .conflicts([...ofServer]),
    )
    .option(
      '--accelerator <name>',
      'cuda, xpu, …: leave out sources whose weights are laid out for another (default: take bytes as they are)',
      nonEmpty('an accelerator'),
    )
    .option('--worker-id <id>', 'own id, by which selectors tell targets apart (default: random)', nonEmpty('a worker id'));
}

/** Flag before environment. @throws UsageError when nobody is named to ask, or no model. */
export async function originOf(flags: OriginFlags, env: Environment, logger: Logger): Promise<FromRegistry | FromSglang> {
  const shared = {
    ...(flags.rank !== undefined && { rank: flags.rank }),
    ...(flags.wait !== undefined && { waitMs: flags.wait }),
  };
  const { fromSglang: sglang, modelName, accelerator, workerId } = flags;
  if (sglang !== undefined) return { sglang, security: sglangSecurity(flags), ...shared };
  if (modelName === undefined) {
    throw new UsageError(
      '--model-name is required: the name that the seed published (weightcast sources lists them); or name an SGLang server with --from-sglang',
    );
  }
  const server = serverOf(flags, env);
  const security = securityOf(flags, env, logger);
  const { identityOf } = await import('./identity.js');
  return {
    identity: identityOf(flags, modelName, env),
    server,
    security,
    ...shared,
    ...(await selectionOptionsOf(flags, env, logger)),
    ...(accelerator !== undefined && { accelerator }),
    ...(workerId !== undefined && { workerId }),
  };
}

/** What the environment says of a metadata server is not for SGLang; least of all the token. */
function sglangSecurity(flags: SecurityFlags): ClientSecurity {
  const { tls } = securityOf(flags, {});
  return { ...(tls !== undefined && { tls }), ...(flags.tokenFile !== undefined && { tokenFile: flags.tokenFile }) };
}
