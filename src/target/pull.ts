import type { PullOptions, PullProgress, PullResult } from './options.js';
import { runPull } from './run.js';

/**
 * Finds the seeds of the same identity and rank and reads all tensors of one of them: of the first in the selector's order, or
 * of the next where that one fails for a reason of its own. Or reads the rank of an SGLang server, or a session: see {@link PullOptions}.
 *
 * Bytes without checksums, of a source that gives no lease, count only when the source says after the read what it said before;
 * one that has changed is asked and read anew, once.
 *
 * ```ts
 * const running = pull({ identity: { modelName: 'org/model' }, server: '10.0.0.1:8001', into: { kind: 'directory', path: 'model' } });
 * for await (const { phase, bytes, totalBytes } of running) console.error(phase, bytes, totalBytes);
 * const result = await running;
 * ```
 *
 * @throws (rejects) WeightcastError. At once: ERR_SERVER_UNREACHABLE, ERR_SERVER, ERR_UNAUTHENTICATED, ERR_NO_SOURCE,
 * ERR_RANK_NOT_FOUND, ERR_INVALID_ARGUMENT, ERR_RDMA_UNAVAILABLE, ERR_DEVICE_NOT_FOUND, ERR_MEMLOCK_LIMIT (with `auto` a reason
 * for TCP), ERR_OUT_OF_MEMORY, ERR_DISK_FULL, ERR_ALREADY_EXISTS, ERR_IO, ERR_ABORTED. When no source was left, with
 * `attempts` if there were several: ERR_SOURCE_GONE, ERR_TENSOR_* (before anything is allocated), ERR_TRANSPORT_UNAVAILABLE,
 * ERR_HANDSHAKE, ERR_PEER_LOST, ERR_REMOTE_ACCESS, ERR_STALLED, ERR_PROTOCOL, ERR_VERBS, ERR_CHECKSUM_MISMATCH. Nothing is
 * left behind then, except undefined bytes in buffers that the caller gave.
 */
export function pull(options: PullOptions): Pull {
  return new Pull(options);
}

/** A pull that runs: await it for its result, iterate over it for progress. It runs whether or not anybody does. */
export class Pull implements PromiseLike<PullResult>, AsyncIterable<PullProgress> {
  private readonly result: Promise<PullResult>;
  private latest: PullProgress | undefined;
  private ended = false;
  private wake: (() => void) | undefined;
  private changed = this.nextChange();

  /** @internal use {@link pull}. */
  constructor(options: PullOptions) {
    this.result = runPull(options, (progress) => {
      this.latest = progress;
      this.signalChange();
    });
    // Whoever only iterates sees the failure there; it must not count as unhandled besides.
    this.result
      .catch(() => undefined)
      .finally(() => {
        this.ended = true;
        this.signalChange();
      });
  }

  then<A = PullResult, B = never>(
    onResult?: ((result: PullResult) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.result.then(onResult, onError);
  }

  /** The latest progress whenever there is a new one; slow readers skip. Ends with the pull, and throws its error. */
  async *[Symbol.asyncIterator](): AsyncIterator<PullProgress> {
    let seen: PullProgress | undefined;
    for (;;) {
      const { changed } = this;
      if (this.latest !== undefined && this.latest !== seen) {
        seen = this.latest;
        yield seen;
      } else if (this.ended) {
        await this.result;
        return;
      } else {
        await changed;
      }
    }
  }

  private nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  private signalChange(): void {
    const { wake } = this;
    this.changed = this.nextChange();
    wake?.();
  }
}
