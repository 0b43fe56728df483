/** `weightcast pull`: read a source's weights. */
import { Option, type Command } from 'commander';
import type { Logger } from '../../observe/logger.js';
import type { Destination, PullOptions } from '../../target/index.js';
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
import { byteSize, integer, nonEmpty, oneOf, seconds, sharedMemoryName } from '../parse.js';
import { pullSummaryLines } from '../pull-summary.js';
import type { CommandContext, RunCommand } from '../run.js';
import { UsageError } from '../usage-error.js';

/** Orders in which sources can be tried; programs may have more. */
const selectors = ['random', 'rendezvous_hash', 'load_aware', 'topology_aware'] as const;

interface PullFlags extends CommonFlags, IdentityFlags, ServerFlags, SecurityFlags, WireFlags {
  readonly rank?: number;
  readonly out?: string;
  readonly shm?: string;
  readonly discard?: true;
  readonly wait?: number;
  readonly selector?: (typeof selectors)[number];
  readonly maxSources?: number;
  readonly transferTimeout?: number;
  readonly accelerator?: string;
  readonly workerId?: string;
  readonly verify: boolean;
  readonly report: boolean;
  readonly queuePairs?: number;
  readonly connections?: number;
  readonly sliceBytes?: number;
}

export function addPull(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('pull')).description('Find a source by its identity and read its weights.');
  addSecurityOptions(addServerOption(command));
  addIdentityOptions(command, 'model name that the seed published (required)');
  addRankOption(command, 'own worker rank; only a seed of the same rank has the same shard (default: 0)');
  command
    .addOption(
      new Option('--out <dir>', 'write safetensors files and the other files of the model into a new directory')
        .argParser(nonEmpty('a directory'))
        .conflicts(['shm', 'discard']),
    )
    .addOption(
      new Option('--shm <name>', 'leave one safetensors file in shared memory, /dev/shm/NAME')
        .argParser(sharedMemoryName)
        .conflicts('discard'),
    )
    .option('--discard', 'read and verify, keep nothing');
  addWireOptions(command)
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
    .option(
      '--accelerator <name>',
      'cuda, xpu, …: leave out sources whose weights are laid out for another (default: take bytes as they are)',
      nonEmpty('an accelerator'),
    )
    .option('--worker-id <id>', 'own id, by which selectors tell targets apart (default: random)', nonEmpty('a worker id'))
    .option('--no-report', 'do not tell the server how the pull goes')
    .option('--no-verify', 'do not compare with the checksums of the seed')
    .option('--queue-pairs <n>', 'queue pairs on each rail (default: 2)', integer('a number of queue pairs', 1, 256))
    .option('--connections <n>', 'TCP connections (default: 4)', integer('a number of connections', 1, 256))
    .option('--slice-bytes <n>', 'largest read (default: 1MiB)', byteSize('a slice', 4096, 2 ** 30))
    .action((flags: PullFlags) => run('pull', flags, (context) => pull(flags, context)));
}

async function pull(flags: PullFlags, context: CommandContext): Promise<undefined> {
  const logger = await context.logger('warn');
  const options: PullOptions = { ...(await pullOptionsOf(flags, context, logger)), logger, signal: context.signal };
  const { pull: startPull } = await import('../../target/index.js');
  const progress = context.progress();
  const running = startPull(options);
  const watching = (async () => {
    for await (const { phase, bytes, totalBytes } of running) progress.update(phase, bytes, totalBytes);
  })().catch(() => undefined); // A failed pull says so through its result.
  const result = await running;
  await watching;
  progress.finish();
  if (flags.json === true) context.output.json(result);
  else for (const line of pullSummaryLines(result)) context.output.line(line);
  return undefined;
}

async function pullOptionsOf(flags: PullFlags, { io }: CommandContext, logger: Logger): Promise<PullOptions> {
  if (flags.modelName === undefined)
    throw new UsageError('--model-name is required: the name that the seed published (weightcast sources lists them)');
  const server = serverOf(flags, io.env);
  const into = destinationOf(flags);
  const security = securityOf(flags, io.env, logger);
  const { identityOf } = await import('../identity.js');
  return {
    identity: identityOf(flags, flags.modelName, io.env),
    server,
    security,
    into,
    ...(await sourceOptionsOf(flags, io.env, logger)),
    ...(flags.maxSources !== undefined && { maxSources: flags.maxSources }),
    ...(flags.accelerator !== undefined && { accelerator: flags.accelerator }),
    ...(flags.workerId !== undefined && { workerId: flags.workerId }),
    reportTransfers: flags.report,
    ...wireOptionsOf(flags),
    verify: flags.verify,
    ...(flags.rank !== undefined && { rank: flags.rank }),
    ...(flags.wait !== undefined && { waitMs: flags.wait }),
    ...(flags.queuePairs !== undefined && { queuePairs: flags.queuePairs }),
    ...(flags.connections !== undefined && { connections: flags.connections }),
    ...(flags.sliceBytes !== undefined && { sliceBytes: flags.sliceBytes }),
  };
}

/** Flag before environment: what a flag says is not looked up there. */
async function sourceOptionsOf(
  { selector, transferTimeout }: PullFlags,
  env: Readonly<Record<string, string | undefined>>,
  logger: Logger,
): Promise<Partial<PullOptions>> {
  const { environmentSelection, environmentTransferTimeout } = await import('../../target/index.js');
  const transferTimeoutMs = transferTimeout ?? environmentTransferTimeout(env, logger);
  return {
    ...(await environmentSelection(selector === undefined ? env : { ...env, MX_P2P_SOURCE_SELECTOR: selector }, logger)),
    ...(transferTimeoutMs !== undefined && { transferTimeoutMs }),
  };
}

function destinationOf({ out, shm, discard }: PullFlags): Destination {
  if (out !== undefined) return { kind: 'directory', path: out };
  if (shm !== undefined) return { kind: 'shared', name: shm };
  if (discard === true) return { kind: 'discard' };
  throw new UsageError('say where the weights go: --out DIR, --shm NAME or --discard');
}
