import { WeightcastError, toWeightcastError } from '../errors.js';
import { openModel } from '../model/model.js';
import { bringUp, type Cleanup } from './bring-up.js';
import { contentOfModel, type SeedContent } from './content.js';
import type { SeedOptions, SeedSummary, SeedTensor } from './options.js';
import { contentOfTensors } from './own-buffers.js';

/**
 * Offers the weights of a safetensors model.
 * @param path - a directory, or one file.
 * @returns once the seed is READY at the metadata server.
 * @throws ERR_NOT_FOUND, ERR_MODEL_INVALID, ERR_SERVER_UNREACHABLE, ERR_PUBLISH_REFUSED, what registration and opening
 * devices throw (with transport `rdma`), ERR_ABORTED. Nothing stays open or published then.
 */
export function seedModel(path: string, options: SeedOptions): Promise<Seed> {
  return Seed.open(async () => contentOfModel(await openModel(path)), options);
}

/**
 * Offers a program's own tensors. Their memory must stay and must not change until the seed is closed.
 * @throws as {@link seedModel}, and ERR_INVALID_ARGUMENT for a tensor that cannot be published.
 */
export function seedTensors(tensors: readonly SeedTensor[] | (() => readonly SeedTensor[]), options: SeedOptions): Promise<Seed> {
  // A function is asked after `prepare`, which may replace the tensors.
  return Seed.open(() => Promise.resolve(contentOfTensors(typeof tensors === 'function' ? tensors() : tensors)), options);
}

/** Weights on offer. Its JavaScript only heartbeats; reads are served by NICs or native threads. */
export class Seed implements AsyncDisposable {
  readonly summary: SeedSummary;
  private closing: Promise<void> | undefined;

  /** @internal use {@link seedModel} or {@link seedTensors}. */
  private constructor(
    summary: SeedSummary,
    private readonly cleanups: readonly Cleanup[],
  ) {
    this.summary = summary;
  }

  /** `mx_source_id`, computed by the server. */
  get sourceId(): string {
    return this.summary.sourceId;
  }

  /**
   * Marks the source STALE, waits for targets that hold a lease (`drainTimeoutMs`; targets of older ModelExpress versions hold
   * none), stops answering, deregisters. Reads that still run fail at their targets. Idempotent, never throws.
   */
  close(): Promise<void> {
    this.closing ??= closeAll(this.cleanups);
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  static async open(load: () => Promise<SeedContent>, options: SeedOptions): Promise<Seed> {
    checkOptions(options);
    const cleanups: Cleanup[] = [];
    try {
      return new Seed(await bringUp(load, options, cleanups), cleanups);
    } catch (error) {
      await closeAll(cleanups);
      throw toWeightcastError(error, { doing: 'cannot seed' });
    }
  }
}

function checkOptions(options: SeedOptions): void {
  if (options.identity.modelName === '') {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', 'seed: expected a model name in identity.modelName but received an empty string');
  }
  const rank = options.rank ?? 0;
  if (!Number.isInteger(rank) || rank < 0 || rank > 0xffff_ffff) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `seed: expected an unsigned 32-bit integer for rank but received ${String(rank)}`);
  }
  if (options.workerId === '') throw new WeightcastError('ERR_INVALID_ARGUMENT', 'seed: expected a non-empty workerId');
  const { workerPort = 0, drainTimeoutMs = 0 } = options;
  if (!Number.isInteger(workerPort) || workerPort < 0 || workerPort > 65_535) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `seed: expected a port from 0 to 65535 for workerPort but received ${workerPort}`);
  }
  if (!(drainTimeoutMs >= 0)) {
    throw new WeightcastError(
      'ERR_INVALID_ARGUMENT',
      `seed: expected a time, 0 or more, for drainTimeoutMs but received ${drainTimeoutMs}`,
    );
  }
}

async function closeAll(cleanups: readonly Cleanup[]): Promise<void> {
  for (const cleanup of [...cleanups].reverse()) {
    try {
      await cleanup();
    } catch {
      // What follows must still be closed; a failed close leaves nothing that the end of the process does not free.
    }
  }
}
