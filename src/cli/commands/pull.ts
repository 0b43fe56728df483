/** `weightcast pull`: read a source's weights. */
import { Option, type Command } from 'commander';
import type { Logger } from '../../observe/logger.js';
import type { Region } from '../../region.js';
import type { Destination, PullOptions, PullResult, Transport } from '../../target/index.js';
import type { ExitCode } from '../exit-codes.js';
import {
  acceleratorOf,
  addCommonOptions,
  addDevicePathOptions,
  addIdentityOptions,
  addRankOption,
  addSecurityOptions,
  addServerOption,
  wireOptionsOf,
  wires,
  type CommonFlags,
  type WireFlags,
} from '../options.js';
import { nonEmpty, oneOf, sharedMemoryName } from '../parse.js';
import { addOriginOptions, originOf, type OriginFlags } from '../pull-origin.js';
import { pullSummaryLines } from '../pull-summary.js';
import { addReadOptions, transferOptionsOf } from '../read-options.js';
import type { CommandContext, RunCommand } from '../run.js';
import { UsageError } from '../usage-error.js';

const verifyModes = ['all', 'sampled', 'twice', 'none'] as const;

interface PullFlags extends CommonFlags, OriginFlags, WireFlags<Transport> {
  readonly out?: string;
  readonly shm?: string;
  readonly discard?: true;
  readonly map?: true;
  readonly intoCudaIpc?: string;
  readonly like?: string;
  readonly verify?: (typeof verifyModes)[number] | false;
}

export function addPull(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('pull')).description(
    'Find a source by its identity, or at an SGLang server, and read its weights.',
  );
  addSecurityOptions(addServerOption(command));
  addIdentityOptions(command, 'model name that the seed published (required, but with --from-sglang)');
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
    .option('--discard', 'read and verify, keep nothing')
    .addOption(
      new Option('--map', 'map the tensors of a seed of this host, and let go of them: how long a program waits for them').conflicts([
        'out',
        'shm',
        'discard',
      ]),
    )
    .addOption(
      new Option('--into-cuda-ipc <socket>', 'fill the GPU memory of the engine that listens at this UNIX socket')
        .argParser(nonEmpty('a socket'))
        .conflicts(['out', 'shm', 'discard', 'map']),
    )
    .option(
      '--like <path>',
      'checkpoint that says dtypes and shapes of tensors whose source does not, and whose file layout is taken where it fits',
      nonEmpty('a checkpoint'),
    );
  addDevicePathOptions(command).option(
    '--transport <name>',
    'auto (local where the seed is on this host, else RDMA where both sides have it, else TCP), local, rdma or tcp (default: auto)',
    oneOf('a transport', [...wires, 'local']),
  );
  addOriginOptions(addReadOptions(command))
    .option(
      '--verify <how>',
      'compare with the checksums of the seed: all, sampled (one tensor in 16, at least 16), twice (all; what has none is read twice) or none ' +
        '(default: all; with --map none)',
      oneOf('a way to verify', verifyModes),
    )
    .option('--no-verify', 'the same as --verify none')
    .action((flags: PullFlags) => run('pull', flags, (context) => pull(flags, context)));
}

async function pull(flags: PullFlags, context: CommandContext): Promise<ExitCode | undefined> {
  if (flags.intoCudaIpc === undefined) return pullInto(destinationOf(flags), flags, context, context.signal);
  if (acceleratorOf(flags) !== undefined) {
    throw new UsageError('with --into-cuda-ipc the engine says which GPU its memory is on; leave out --device');
  }
  const { EngineMemory } = await import('../../engine/index.js');
  const engine = await EngineMemory.open(flags.intoCudaIpc, { writable: true, signal: context.signal });
  const gone = new AbortController();
  void engine.ended.then((reason) => {
    gone.abort(reason);
  });
  try {
    const signal = AbortSignal.any([context.signal, gone.signal]);
    const exitCode = await pullInto({ kind: 'tensors', tensors: engine.tensors }, flags, context, signal);
    await engine.close();
    return exitCode;
  } catch (error) {
    // An engine that goes away aborts the pull; that is the reason, then.
    const reason: unknown = gone.signal.aborted && !context.signal.aborted ? gone.signal.reason : error;
    await engine.close(reason);
    throw reason;
  }
}

async function pullInto(into: Destination, flags: PullFlags, context: CommandContext, signal: AbortSignal): Promise<ExitCode | undefined> {
  const logger = await context.logger('warn');
  const options: PullOptions = { ...(await pullOptionsOf(into, flags, context, logger)), logger, signal };
  const { pull: startPull } = await import('../../target/index.js');
  const progress = context.progress();
  const running = startPull(options);
  const watching = (async () => {
    for await (const { phase, bytes, totalBytes } of running) progress.update(phase, bytes, totalBytes);
  })().catch(() => undefined); // A failed pull says so through its result.
  const result = await running;
  await watching;
  progress.finish();
  if (result.output.kind === 'mapped') for (const region of result.output.regions) region.close();
  if (flags.json === true) context.output.json(jsonOf(result));
  else for (const line of pullSummaryLines(result)) context.output.line(line);
  return result.output.kind === 'memory' ? hold(result.output.region, context) : undefined;
}

/** An accelerator's memory goes with the process that has it. */
async function hold(region: Region, context: CommandContext): Promise<ExitCode> {
  try {
    return await context.untilSignal();
  } finally {
    region.close();
  }
}

async function pullOptionsOf(into: Destination, flags: PullFlags, { io }: CommandContext, logger: Logger): Promise<PullOptions> {
  const origin = await originOf(flags, io.env, logger);
  return {
    ...origin,
    into,
    ...(await transferOptionsOf(flags, io.env, logger)),
    ...wireOptionsOf(flags),
    verify: verifyOf(flags),
    ...(flags.like !== undefined && { like: flags.like }),
  };
}

/** What is mapped is not compared unless asked for: to compare is to read all of it. */
function verifyOf({ verify, map }: PullFlags): NonNullable<PullOptions['verify']> {
  switch (verify ?? (map === true ? 'none' : 'all')) {
    case 'sampled':
      return 'sampled';
    case 'twice':
      return 'twice';
    case 'all':
      return true;
    default:
      return false;
  }
}

/** Mappings and regions are handles of this process. */
function jsonOf(result: PullResult): object {
  const { output } = result;
  if (output.kind === 'memory') {
    return { ...result, output: { kind: 'memory', bytes: output.region.byteLength } };
  }
  return output.kind === 'mapped' ? { ...result, output: { kind: 'mapped', regions: output.regions.length } } : result;
}

function destinationOf({ out, shm, discard, map, ...flags }: PullFlags): Destination {
  const on = acceleratorOf(flags);
  if (on !== undefined) {
    if (out !== undefined || shm !== undefined || map === true) {
      throw new UsageError('weights go into the memory of an accelerator (--device cuda:0) or to --out, --shm or --map: not to both');
    }
    return { kind: discard === true ? 'discard' : 'memory', on };
  }
  if (out !== undefined) return { kind: 'directory', path: out };
  if (shm !== undefined) return { kind: 'shared', name: shm };
  if (discard === true) return { kind: 'discard' };
  if (map === true) return { kind: 'mapped' };
  throw new UsageError('say where the weights go: --out DIR, --shm NAME, --map, --device cuda:0, --into-cuda-ipc SOCKET or --discard');
}
