/** A mirror: a pull into own memory, then a seed of that memory. */
import { randomBytes } from 'node:crypto';
import { WeightcastError } from '../errors.js';
import { Seed, type TcpServed } from '../seed/index.js';
import type { SeedContent } from '../seed/content.js';
import type { PullOptions, PullResult } from '../target/index.js';
import { runPull } from '../target/run.js';
import { MirrorMemory } from './memory.js';
import type { MirrorOptions, MirrorSummary } from './options.js';

/**
 * Reads the weights of a source once and offers the same tensors under the same identity from memory of this process, with the
 * other files of the model: the source may go. To every reader it is what the source was: names, dtypes, shapes, checksums,
 * files, accelerator; addresses, session and worker id are its own.
 *
 * Takes the memory of the model once, also where it is read twice, its other files, and some megabytes.
 * @returns once the mirror is READY, which it is not before every byte is verified (unless `verify` is `none`).
 * @throws what {@link pull} throws for the source and {@link seedTensors} for the mirror; ERR_CHECKSUM_MISMATCH also when two
 * reads of a source without checksums differ. Nothing stays open or published then.
 */
export async function mirror(options: MirrorOptions): Promise<Mirror> {
  // Known before the pull, which must not find this worker's own record, left by a predecessor of the same id.
  const workerId = options.workerId ?? randomBytes(4).toString('hex');
  const from = pullOptionsOf({ ...options, workerId });
  let pulled: PullResult | undefined;
  const load = async (): Promise<SeedContent> => {
    const { result, content } = await read(from, options);
    pulled = result;
    return content;
  };
  const seed = await Seed.open(load, { ...options, workerId });
  if (pulled === undefined) throw new WeightcastError('ERR_INTERNAL', 'a mirror without a source');
  const { output: _, ...source } = pulled;
  const unverified = options.verify === 'none' ? ['these weights are served as they were read: not verified'] : [];
  return new Mirror(seed, { ...seed.summary, notes: [...unverified, ...seed.summary.notes], source });
}

/** Weights on offer that came from another source. It serves as a {@link Seed} does. */
export class Mirror implements AsyncDisposable {
  /** @internal use {@link mirror}. */
  constructor(
    private readonly seed: Seed,
    readonly summary: MirrorSummary,
  ) {}

  /** `mx_source_id`; the same as the source's, where that has one. */
  get sourceId(): string {
    return this.seed.sourceId;
  }

  /** As {@link Seed.tcpServed}. */
  get tcpServed(): TcpServed | undefined {
    return this.seed.tcpServed;
  }

  /** As {@link Seed.close}; frees the memory. */
  close(): Promise<void> {
    return this.seed.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The pull, and what it left; the caller closes the content. */
async function read(from: PullOptions, options: MirrorOptions): Promise<{ result: PullResult; content: SeedContent }> {
  let memory: MirrorMemory | undefined;
  const result = await runPull(
    from,
    (progress) => options.onProgress?.(progress),
    () => (memory = new MirrorMemory()),
  );
  const content = memory?.content;
  if (content === undefined) throw new WeightcastError('ERR_INTERNAL', 'a pull that left nothing to be served');
  if (options.verify !== 'none' && content.checksums?.includes(undefined) !== false) {
    content.close();
    throw new WeightcastError('ERR_INTERNAL', `tensors of ${result.peer} were not verified`);
  }
  return { result, content: { ...content, accelerator: result.accelerator } };
}

/** @throws ERR_INVALID_ARGUMENT when there is nobody to ask for a source. */
function pullOptionsOf(options: MirrorOptions & { readonly workerId: string }): PullOptions {
  const { source = {}, verify, identity, server, security, rank = 0, workerId, topology, ...own } = options;
  const { sglang: _offer, accelerator: _claim, transferTimeoutMs: _ofReaders, ...shared } = own;
  // Where it goes is for the caller of this to say.
  const settings = { ...shared, into: { kind: 'discard' }, verify: verify === 'none' ? false : 'twice' } as const;
  if ('session' in source) return { ...settings, ...source };
  if ('sglang' in source) return { ...settings, rank, ...source };
  if (server !== undefined) return { ...settings, identity, server, security, rank, workerId, topology, ...source };
  throw new WeightcastError(
    'ERR_INVALID_ARGUMENT',
    'mirror: expected a metadata server in server, an SGLang server in source.sglang or a session in source.session, but received none of them',
  );
}
