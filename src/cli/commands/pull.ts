/** `weightcast pull`: read a source's weights. */
import { Option, type Command } from 'commander';
import type { Destination, PullOptions } from '../../target/index.js';
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
import { byteSize, integer, nonEmpty, seconds, sharedMemoryName } from '../parse.js';
import { pullSummaryLines } from '../pull-summary.js';
import type { CommandContext, RunCommand } from '../run.js';
import { UsageError } from '../usage-error.js';

interface PullFlags extends CommonFlags, IdentityFlags, ServerFlags, WireFlags {
  readonly rank?: number;
  readonly out?: string;
  readonly shm?: string;
  readonly discard?: true;
  readonly wait?: number;
  readonly verify: boolean;
  readonly queuePairs?: number;
  readonly connections?: number;
  readonly sliceBytes?: number;
}

export function addPull(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('pull')).description('Find a source by its identity and read its weights.');
  addServerOption(command);
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
    .option('--no-verify', 'do not compare with the checksums of the seed')
    .option('--queue-pairs <n>', 'queue pairs on each rail (default: 2)', integer('a number of queue pairs', 1, 256))
    .option('--connections <n>', 'TCP connections (default: 4)', integer('a number of connections', 1, 256))
    .option('--slice-bytes <n>', 'largest read (default: 1MiB)', byteSize('a slice', 4096, 2 ** 30))
    .action((flags: PullFlags) => run('pull', flags, (context) => pull(flags, context)));
}

async function pull(flags: PullFlags, context: CommandContext): Promise<undefined> {
  const options: PullOptions = {
    ...(await pullOptionsOf(flags, context)),
    logger: await context.logger('warn'),
    signal: context.signal,
  };
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

async function pullOptionsOf(flags: PullFlags, { io }: CommandContext): Promise<PullOptions> {
  if (flags.modelName === undefined)
    throw new UsageError('--model-name is required: the name that the seed published (weightcast sources lists them)');
  const server = serverOf(flags, io.env);
  const into = destinationOf(flags);
  const { identityOf } = await import('../identity.js');
  return {
    identity: identityOf(flags, flags.modelName),
    server,
    into,
    ...wireOptionsOf(flags),
    verify: flags.verify,
    ...(flags.rank !== undefined && { rank: flags.rank }),
    ...(flags.wait !== undefined && { waitMs: flags.wait }),
    ...(flags.queuePairs !== undefined && { queuePairs: flags.queuePairs }),
    ...(flags.connections !== undefined && { connections: flags.connections }),
    ...(flags.sliceBytes !== undefined && { sliceBytes: flags.sliceBytes }),
  };
}

function destinationOf({ out, shm, discard }: PullFlags): Destination {
  if (out !== undefined) return { kind: 'directory', path: out };
  if (shm !== undefined) return { kind: 'shared', name: shm };
  if (discard === true) return { kind: 'discard' };
  throw new UsageError('say where the weights go: --out DIR, --shm NAME or --discard');
}
