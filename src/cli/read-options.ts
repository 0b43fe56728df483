/** Flags of `pull` and `mirror` that say which source is read and how, and what they become. */
import type { Command } from 'commander';
import type { Logger } from '../observe/logger.js';
import type { PullSettings, RegistryPullOptions } from '../target/index.js';
import { byteSize, integer, oneOf, seconds } from './parse.js';

/** Orders in which sources can be tried; programs may have more. */
const selectors = ['random', 'rendezvous_hash', 'load_aware', 'topology_aware'] as const;

export interface ReadFlags {
  readonly wait?: number;
  readonly selector?: (typeof selectors)[number];
  readonly maxSources?: number;
  readonly transferTimeout?: number;
  readonly report: boolean;
  readonly queuePairs?: number;
  readonly connections?: number;
  readonly sliceBytes?: number;
}

export function addReadOptions(command: Command): Command {
  return command
    .option('--wait <s>', 'wait so long for a READY source (default: fail at once)', seconds('a time', 0))
    .option(
      '--selector <name>',
      `which source first: ${selectors.join(', ')} (default: MX_P2P_SOURCE_SELECTOR, else random)`,
      oneOf('a selector', selectors),
    )
    .option('--max-sources <n>', 'sources to try when one fails (default: 3)', integer('a number of sources', 1))
    .option(
      '--transfer-timeout <s>',
      'longest time for the bytes of one source (default: MX_TRANSFER_TIMEOUT, else none)',
      seconds('a time', 0.001),
    )
    .option('--no-report', 'do not tell the server how the pull goes')
    .option(
      '--queue-pairs <n>',
      'queue pairs on each rail (default: 4, one of them used until packets are lost; 2 with Mooncake)',
      integer('a number of queue pairs', 1, 256),
    )
    .option('--connections <n>', 'TCP connections (default: 4)', integer('a number of connections', 1, 256))
    .option('--slice-bytes <n>', 'largest read (default: 1MiB; 8MiB over TCP from Mooncake)', byteSize('a slice', 4096, 2 ** 30));
}

type SelectionOptions = Pick<
  RegistryPullOptions,
  'selector' | 'topology' | 'topologyLevels' | 'loadWeight' | 'topologyLoadWeight' | 'maxSources' | 'reportTransfers'
>;
type TransferOptions = Pick<PullSettings, 'transferTimeoutMs' | 'queuePairs' | 'connections' | 'sliceBytes'>;
type Environment = Readonly<Record<string, string | undefined>>;

/** Which source, and how, by a metadata server. Flag before environment: what a flag says is not looked up there. */
export async function readOptionsOf(
  flags: ReadFlags,
  env: Environment,
  logger: Logger,
): Promise<SelectionOptions & TransferOptions & Pick<RegistryPullOptions, 'waitMs'>> {
  const { wait: waitMs } = flags;
  return {
    ...(await selectionOptionsOf(flags, env, logger)),
    ...(await transferOptionsOf(flags, env, logger)),
    ...(waitMs !== undefined && { waitMs }),
  };
}

/** Which of the sources that a metadata server knows. */
export async function selectionOptionsOf(flags: ReadFlags, env: Environment, logger: Logger): Promise<SelectionOptions> {
  const { environmentSelection } = await import('../target/index.js');
  const { selector, maxSources } = flags;
  return {
    ...(await environmentSelection(selector === undefined ? env : { ...env, MX_P2P_SOURCE_SELECTOR: selector }, logger)),
    ...(maxSources !== undefined && { maxSources }),
    reportTransfers: flags.report,
  };
}

/** How a source is read. */
export async function transferOptionsOf(flags: ReadFlags, env: Environment, logger: Logger): Promise<TransferOptions> {
  const { environmentTransferTimeout } = await import('../target/index.js');
  const { queuePairs, connections, sliceBytes } = flags;
  const transferTimeoutMs = flags.transferTimeout ?? environmentTransferTimeout(env, logger);
  return {
    ...(transferTimeoutMs !== undefined && { transferTimeoutMs }),
    ...(queuePairs !== undefined && { queuePairs }),
    ...(connections !== undefined && { connections }),
    ...(sliceBytes !== undefined && { sliceBytes }),
  };
}
