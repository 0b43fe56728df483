/** Listings in the order of the answer, encoded in blocks: a heartbeat of one worker costs two blocks, not ten thousand references. */
import type { WorkerListing } from '../../stores/store.js';
import { renderInstance } from '../../wire/reference.js';

/** Of some 80 bytes each: a block is copied in microseconds, and ten thousand workers are some dozens of writes to the stream. */
const blockWorkers = 256;

/** A change of more than one in so many is not worth finding the places of. */
const rebuildShare = 8;

/** Consecutive workers of the answer, encoded when that is first asked for. */
class Block {
  readonly workers: readonly WorkerListing[];
  #bytes: Buffer | undefined;

  /** @param workers at least one. */
  constructor(workers: readonly WorkerListing[]) {
    this.workers = workers;
  }

  get newest(): bigint {
    return this.workers[0]?.updatedAt ?? 0n;
  }

  get oldest(): bigint {
    return this.workers.at(-1)?.updatedAt ?? 0n;
  }

  get bytes(): Buffer {
    this.#bytes ??= encode(this.workers);
    return this.#bytes;
  }
}

/** Never changes. */
export class OrderedListings {
  readonly #blocks: readonly Block[];

  private constructor(blocks: readonly Block[]) {
    this.#blocks = blocks;
  }

  /** Of listings in any order; those of the same time stay in theirs. */
  static of(listings: readonly WorkerListing[]): OrderedListings {
    const workers = [...listings].sort(newestFirst);
    const blocks: Block[] = [];
    for (let from = 0; from < workers.length; from += blockWorkers) blocks.push(new Block(workers.slice(from, from + blockWorkers)));
    return new OrderedListings(blocks);
  }

  /** The same after a change. A listing may be in both: then it stays. */
  with(removed: ReadonlySet<WorkerListing>, added: readonly WorkerListing[]): OrderedListings {
    if (removed.size + added.length === 0) return this;
    const size = this.#blocks.reduce((sum, { workers }) => sum + workers.length, 0);
    if ((removed.size + added.length) * rebuildShare > size) {
      return OrderedListings.of([...this.workers().filter((worker) => !removed.has(worker)), ...added]);
    }
    const arriving = [...added].sort(newestFirst);
    const times = [...removed].map(({ updatedAt }) => updatedAt);
    const blocks: Block[] = [];
    let next = 0;
    for (const [index, block] of this.#blocks.entries()) {
      const from = next;
      const isLast = index === this.#blocks.length - 1;
      while (next < arriving.length && (isLast || (arriving[next]?.updatedAt ?? 0n) >= block.oldest)) next++;
      const mayLose = times.some((time) => time <= block.newest && time >= block.oldest);
      const left = mayLose ? block.workers.filter((worker) => !removed.has(worker)) : block.workers;
      if (next === from && left.length === block.workers.length) blocks.push(block);
      else append(blocks, [...arriving.slice(from, next), ...left].sort(newestFirst));
    }
    return new OrderedListings(blocks);
  }

  /** Newest first. */
  workers(): WorkerListing[] {
    return this.#blocks.flatMap(({ workers }) => workers);
  }

  /** `ListSourcesResponse.instances` of those that were heard of at that time or later; not to be changed. */
  encoded(since: bigint): Buffer[] {
    const parts: Buffer[] = [];
    for (const block of this.#blocks) {
      if (block.newest < since) break;
      parts.push(block.oldest >= since ? block.bytes : encode(block.workers.filter(({ updatedAt }) => updatedAt >= since)));
    }
    return parts;
  }
}

/** Together with the block before it, or as several of the same size, so that none gets large and few stay small. */
function append(blocks: Block[], workers: readonly WorkerListing[]): void {
  const before = blocks.at(-1);
  if (before !== undefined && before.workers.length + workers.length <= blockWorkers) {
    blocks[blocks.length - 1] = new Block([...before.workers, ...workers]);
    return;
  }
  const size = Math.ceil(workers.length / Math.ceil(workers.length / blockWorkers));
  for (let from = 0; from < workers.length; from += size) blocks.push(new Block(workers.slice(from, from + size)));
}

function encode(workers: readonly WorkerListing[]): Buffer {
  return Buffer.concat(workers.map(renderInstance));
}

function newestFirst(a: WorkerListing, b: WorkerListing): number {
  return a.updatedAt === b.updatedAt ? 0 : a.updatedAt < b.updatedAt ? 1 : -1;
}
