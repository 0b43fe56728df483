/** The demo: server, seed and target as processes of their own; then the judge. Tells its story as it goes. */
import { join, resolve } from 'node:path';
import { throwIfAborted, WeightcastError } from '../../errors.js';
import { ExitCode } from '../exit-codes.js';
import { formatBytes, formatCount, formatMs } from '../format.js';
import { transportText } from '../pull-summary.js';
import { aborted } from '../aborted.js';
import type { Child, Printed } from '../child.js';
import { compareModels, type Comparison } from './compare.js';
import { bytesOnDisk, generateDemoModel, requireSpace } from './model.js';
import { Scratch } from './scratch.js';

export interface DemoOptions {
  /** A model of the user; undefined generates one. */
  readonly model: string | undefined;
  /** Size of the generated one. */
  readonly bytes: number;
  readonly transport: 'auto' | 'rdma' | 'tcp';
  /** Shows logs of all processes. */
  readonly verbose: boolean;
  /** Shows not even the target's progress. */
  readonly quiet: boolean;
  readonly signal: AbortSignal;
  /** Takes the story, step by step. */
  readonly tell: (step: string, text: string) => void;
}

/** What the demo found; every byte was equal. */
export interface DemoResult {
  readonly model: string;
  readonly transport: string;
  readonly transportReason: string;
  /** What the seed and the target printed. */
  readonly seed: Printed;
  readonly pull: Printed;
  readonly compared: Comparison;
  readonly totalMs: number;
}

/** Loopback: everything is on this machine, whatever its network. RDMA devices are found by name, not by this. */
const host = '127.0.0.1';
const modelName = 'weightcast/demo';

/** @throws what the processes report; ERR_CHECKSUM_MISMATCH when a byte differs. Nothing is left behind either way. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { signal, tell } = options;
  const startedAt = performance.now();
  await using scratch = await Scratch.create();
  const start = (role: string, args: readonly string[], showProgress = false): Child => {
    throwIfAborted(signal, 'demo');
    const level = options.verbose ? ['--verbose'] : options.quiet ? ['--quiet'] : [];
    return scratch.start(`the ${role}`, [...args, ...level], options.verbose || (showProgress && !options.quiet));
  };

  const model = await prepareModel(options, scratch.directory);
  const server = start('server', ['serve', '--listen', `${host}:0`]);
  const { address } = await server.next(signal);
  tell('server', `process ${String(server.pid)}, metadata server on ${String(address)}`);

  const wire = ['--server', String(address), '--model-name', modelName, '--host', host, '--transport', options.transport];
  // What two hosts would do: between processes of one there is no wire to be shown.
  const seed = start('seed', ['seed', model, ...wire, '--no-local']);
  const offered = await seed.next(signal);
  tell('seed', `process ${String(seed.pid)}, ${offeredText(offered)}`);

  const out = join(scratch.directory, 'pulled');
  const target = start('target', ['pull', ...wire, '--out', out], true);
  const pulled = (await target.next(signal)) as PulledFields & Printed;
  const code = await target.ended(signal);
  if (code !== 0) throw new WeightcastError('ERR_INTERNAL', `the target ended with exit code ${String(code)} after its result`);
  tell('target', `process ${String(target.pid)}, ${pulledText(pulled)}`);
  tell('', `transport: ${transportText(pulled)}`);

  const compared = await judge(model, out, signal);
  tell(
    'check',
    `${formatCount(compared.tensors)} tensors, ${formatBytes(compared.bytes)}: every byte equal, and ${formatCount(compared.otherFiles)} other files`,
  );
  for (const [role, child] of [
    ['seed', seed],
    ['server', server],
  ] as const) {
    const ended = await child.stop();
    if (ended !== ExitCode.terminated) throw new WeightcastError('ERR_INTERNAL', `the ${role} ended with exit code ${String(ended)}`);
  }
  return {
    model: options.model ?? `Qwen2.5-7B, scaled to ${formatBytes(compared.bytes)}`,
    transport: pulled.transport,
    transportReason: pulled.transportReason,
    seed: offered,
    pull: pulled,
    compared,
    totalMs: performance.now() - startedAt,
  };
}

async function prepareModel({ model, bytes, tell, signal }: DemoOptions, directory: string): Promise<string> {
  if (model !== undefined) {
    const size = await bytesOnDisk(model);
    await requireSpace(directory, size);
    tell('model', `${model}, ${formatBytes(size)}`);
    return resolve(model);
  }
  await requireSpace(directory, 2 * bytes);
  const startedAt = performance.now();
  const path = join(directory, 'model');
  // Left behind by an abort, the generator fails at its next file: the directory is gone.
  const generated = await Promise.race([generateDemoModel(path, bytes), aborted(signal)]);
  const took = formatMs(performance.now() - startedAt);
  tell(
    'model',
    `tensors of Qwen2.5-7B, dimensions divided by ${generated.scale.toFixed(2)}: ${formatBytes(generated.bytes)}, made in ${took}`,
  );
  return path;
}

async function judge(model: string, out: string, signal: AbortSignal): Promise<Comparison> {
  const compared = await compareModels(model, out, signal);
  const { differences } = compared;
  if (differences.length > 0 || compared.tensors === 0) {
    const more = differences.length > 1 ? ` (and ${formatCount(differences.length - 1)} more)` : '';
    throw new WeightcastError(
      'ERR_CHECKSUM_MISMATCH',
      `the pulled model is not the seed's: ${differences[0] ?? 'it has no tensors'}${more}`,
    );
  }
  return compared;
}

/** Fields of the JSON of `pull` that the story needs. */
interface PulledFields {
  readonly bytes: number;
  readonly transport: 'rdma' | 'tcp';
  readonly transportReason: string;
  readonly software: boolean;
  readonly wireGBps: number;
  readonly workRequests: number;
  readonly totalMs: number;
  readonly verified?: { readonly tensors: number };
}

function offeredText(offered: Printed): string {
  const { sourceId, tensors, bytes, transports } = offered as { sourceId: string; tensors: number; bytes: number; transports: string[] };
  return `offers ${formatCount(tensors)} tensors, ${formatBytes(bytes)}, as source ${sourceId} over ${transports.join(' and ')}`;
}

function pulledText({ bytes, wireGBps, workRequests, totalMs, verified }: PulledFields): string {
  const checked = verified === undefined ? 'nothing verified' : `checksums of ${formatCount(verified.tensors)} tensors verified`;
  return `read ${formatBytes(bytes)} in ${formatCount(workRequests)} requests at ${wireGBps.toFixed(3)} GB/s on the wire, ${formatMs(totalMs)} in all, ${checked}`;
}
