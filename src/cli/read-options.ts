/** Flags of `pull` and `mirror` that say which source is read and how, and what they become. */
import type { Command } from 'commander';
import type { Logger } from '../observe/logger.js';
import type { RegistryPullOptions } from '../target/index.js';
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
    .option('--queue-pairs <n>', 'queue pairs on each rail (default: 2)', integer('a number of queue pairs', 1, 256))
    .option('--connections <n>', 'TCP connections (default: 4)', integer('a number of connections', 1, 256))
    .option('--slice-bytes <n>', 'largest read (default: 1MiB)', byteSize('a slice', 4096, 2 ** 30));
}

type ReadOptions = Pick<
  RegistryPullOptions,
  | 'waitMs'
  | 'selector'
  | 'topology'
  | 'topologyLevels'
  | 'loadWeight'
  | 'topologyLoadWeight'
  | 'maxSources'
  | 'transferTimeoutMs'
  | 'reportTransfers'
  | 'queuePairs'
  | 'connections'
  | 'sliceBytes'
>;

/** Flag before environment: what a flag says is not looked up there. */
export async function readOptionsOf(
  flags: ReadFlags,
  env: Readonly<Record<string, string | undefined>>,
  logger: Logger,
): Promise<ReadOptions> {
  const { environmentSelection, environmentTransferTimeout } = await import('../target/index.js');
  const { selector, maxSources, wait: waitMs, queuePairs, connections, sliceBytes } = flags;
  const transferTimeoutMs = flags.transferTimeout ?? environmentTransferTimeout(env, logger);
  return {
    ...(await environmentSelection(selector === undefined ? env : { ...env, MX_P2P_SOURCE_SELECTOR: selector }, logger)),
    ...(transferTimeoutMs !== undefined && { transferTimeoutMs }),
    ...(maxSources !== undefined && { maxSources }),
    reportTransfers: flags.report,
    ...(waitMs !== undefined && { waitMs }),
    ...(queuePairs !== undefined && { queuePairs }),
    ...(connections !== undefined && { connections }),
    ...(sliceBytes !== undefined && { sliceBytes }),
  };
}
