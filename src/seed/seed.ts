import { toWeightcastError } from '../errors.js';
import { openModel } from '../model/model.js';
import type { Cleanup } from './announce/announcer.js';
import { bringUp, type BroughtUp } from './bring-up.js';
import { checkOptions } from './check-options.js';
import { contentOfModel, type SeedContent } from './content.js';
import type { SeedOptions, SeedSummary, SeedTensor } from './options.js';
import { contentOfTensors } from './own-buffers.js';
import type { TcpServed } from './tcp-served.js';

/**
 * Offers the weights of a safetensors model.
 * @param path - a directory, or one file.
 * @returns once the seed is READY at the metadata server, and SGLang's processes find it where that was asked for.
 * @throws ERR_NOT_FOUND, ERR_MODEL_INVALID, ERR_SERVER_UNREACHABLE, ERR_PUBLISH_REFUSED, what registration and opening
 * devices throw (with transport `rdma`), ERR_ABORTED. Nothing stays open or published then.
 */
export function seedModel(path: string, options: SeedOptions): Promise<Seed> {
  return Seed.open(async () => contentOfModel(await openModel(path), options.on), options);
}

/**
 * Offers a program's own tensors. Their memory must stay and must not change until the seed is closed.
 * @throws as {@link seedModel}, and ERR_INVALID_ARGUMENT for a tensor that cannot be published.
 */
export function seedTensors(tensors: readonly SeedTensor[] | (() => readonly SeedTensor[]), options: SeedOptions): Promise<Seed> {
  // A function is asked after `prepare`, which may replace the tensors.
  return Seed.open(() => contentOfTensors(typeof tensors === 'function' ? tensors() : tensors), options);
}

/** Weights on offer. Its JavaScript only heartbeats; reads are served by NICs or native threads. */
export class Seed implements AsyncDisposable {
  readonly summary: SeedSummary;
  private readonly plane: BroughtUp['plane'];
  private closing: Promise<void> | undefined;

  /** @internal use {@link seedModel} or {@link seedTensors}. */
  private constructor(
    { summary, plane }: BroughtUp,
    private readonly cleanups: readonly Cleanup[],
  ) {
    this.summary = summary;
    this.plane = plane;
  }

  /** `mx_source_id`. */
  get sourceId(): string {
    return this.summary.sourceId;
  }

  /** What it has sent over TCP so far, also after it was closed; `undefined` where TCP is not offered. RDMA reads are not seen by anybody here. */
  get tcpServed(): TcpServed | undefined {
    return this.plane.tcpServed;
  }

  /**
   * Tells no target of SGLang any more, marks the source STALE, waits for targets that hold a lease (`drainTimeoutMs`; targets of older ModelExpress versions hold
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

async function closeAll(cleanups: readonly Cleanup[]): Promise<void> {
  for (const cleanup of [...cleanups].reverse()) {
    try {
      await cleanup();
    } catch {
      // What follows must still be closed; a failed close leaves nothing that the end of the process does not free.
    }
  }
}
