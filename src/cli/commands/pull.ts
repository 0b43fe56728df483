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
import { nonEmpty, sharedMemoryName } from '../parse.js';
import { pullSummaryLines } from '../pull-summary.js';
import { addReadOptions, readOptionsOf, type ReadFlags } from '../read-options.js';
import type { CommandContext, RunCommand } from '../run.js';
import { UsageError } from '../usage-error.js';

interface PullFlags extends CommonFlags, IdentityFlags, ServerFlags, SecurityFlags, WireFlags, ReadFlags {
  readonly rank?: number;
  readonly out?: string;
  readonly shm?: string;
  readonly discard?: true;
  readonly accelerator?: string;
  readonly workerId?: string;
  readonly verify: boolean;
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
  addWireOptions(command);
  addReadOptions(command)
    .option(
      '--accelerator <name>',
      'cuda, xpu, …: leave out sources whose weights are laid out for another (default: take bytes as they are)',
      nonEmpty('an accelerator'),
    )
    .option('--worker-id <id>', 'own id, by which selectors tell targets apart (default: random)', nonEmpty('a worker id'))
    .option('--no-verify', 'do not compare with the checksums of the seed')
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
    ...(await readOptionsOf(flags, io.env, logger)),
    ...(flags.accelerator !== undefined && { accelerator: flags.accelerator }),
    ...(flags.workerId !== undefined && { workerId: flags.workerId }),
    ...wireOptionsOf(flags),
    verify: flags.verify,
    ...(flags.rank !== undefined && { rank: flags.rank }),
  };
}

function destinationOf({ out, shm, discard }: PullFlags): Destination {
  if (out !== undefined) return { kind: 'directory', path: out };
  if (shm !== undefined) return { kind: 'shared', name: shm };
  if (discard === true) return { kind: 'discard' };
  throw new UsageError('say where the weights go: --out DIR, --shm NAME or --discard');
}
