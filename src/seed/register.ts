/** Registration of what a seed serves: every range on every rail, REMOTE_READ and nothing else. */
import { availableParallelism } from 'node:os';
import { toWeightcastError, WeightcastError } from '../errors.js';
import { native, type NativeNic, type NativeRegistration } from '../native.js';
import type { Logger } from '../observe/logger.js';
import { Region } from '../region.js';
import type { SeedContent } from './content.js';
import type { ContentRange } from './ranges.js';

/** A range with its keys: `registrations[i]` is on NIC i. */
export interface RegisteredRange {
  readonly registrations: readonly NativeRegistration[];
}

export interface Registered {
  /** In the order of the ranges that were given. */
  readonly ranges: readonly RegisteredRange[];
  /** Why file mappings had to be copied to be pinned; `''` when none was. */
  readonly copiedBecause: string;
  close(): Promise<void>;
}

/** In flight at once: enough to keep the native threads busy without 10 000 pending promises. */
const BATCH = 64;

/**
 * Registers `ranges` of `content` on every NIC. A file mapping that the kernel cannot pin (Linux 6.1 refuses read-only
 * shared mappings) is copied into anonymous memory, and the content's region replaced by the copy.
 * @throws ERR_MEMLOCK_LIMIT, ERR_OUT_OF_MEMORY, ERR_REGISTRATION; nothing stays registered then.
 */
export async function register(
  nics: readonly NativeNic[],
  content: SeedContent,
  ranges: readonly ContentRange[],
  logger: Logger,
): Promise<Registered> {
  const registration = new Registration(nics, content, ranges, logger);
  try {
    await registration.run();
  } catch (error) {
    await registration.close();
    throw error;
  }
  return { ranges: registration.ranges(), copiedBecause: registration.copiedBecause, close: () => registration.close() };
}

class Registration {
  copiedBecause = '';
  /** By index of the range. */
  readonly #made = new Map<number, RegisteredRange>();

  constructor(
    private readonly nics: readonly NativeNic[],
    private readonly content: SeedContent,
    private readonly all: readonly ContentRange[],
    private readonly logger: Logger,
  ) {}

  ranges(): RegisteredRange[] {
    return this.all.map((_, index) => {
      const made = this.#made.get(index);
      if (made === undefined) throw new WeightcastError('ERR_INTERNAL', `range ${String(index)} was not registered`);
      return made;
    });
  }

  async run(): Promise<void> {
    const todo = [...this.all.entries()];
    while (todo.length > 0) {
      const batch = todo.splice(0, BATCH);
      const unpinned = new Map<number, string>();
      const settled = await Promise.allSettled(batch.map(([index, range]) => this.#register(index, range)));
      for (const [which, outcome] of settled.entries()) {
        const range = batch[which]?.[1];
        if (outcome.status === 'fulfilled' || range === undefined) continue;
        const error = toWeightcastError(outcome.reason, { doing: 'cannot register weights' });
        // A copy is no file mapping: what fails for it is final.
        const isFile = this.content.regions[range.region]?.handle.kind === 'file';
        if (error.code !== 'ERR_REGISTRATION' || !isFile) throw error;
        unpinned.set(range.region, error.message);
      }
      for (const [region, reason] of unpinned) {
        await this.#replace(region, reason);
        const waiting = new Set(todo.map(([index]) => index));
        todo.push(...[...this.all.entries()].filter(([index, range]) => range.region === region && !waiting.has(index)));
      }
    }
  }

  async close(): Promise<void> {
    await this.#drop([...this.#made.keys()]);
  }

  async #register(index: number, range: ContentRange): Promise<void> {
    const region = this.content.regions[range.region];
    if (region === undefined) throw new WeightcastError('ERR_INTERNAL', `no region ${String(range.region)}`);
    const outcomes = await Promise.allSettled(
      this.nics.map((nic) => nic.register(region.handle, range.offset, range.length, 'remote-read')),
    );
    const registrations = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    this.#made.set(index, { registrations });
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed === undefined) return;
    await this.#drop([index]);
    throw failed.reason;
  }

  /** Puts a copy in the place of a region; those of its ranges that could be pinned are to be registered again. */
  async #replace(index: number, reason: string): Promise<void> {
    const region = this.content.regions[index];
    if (region === undefined) return;
    this.logger.info('the kernel cannot pin this file mapping; copying it', { bytes: region.byteLength, reason });
    this.copiedBecause = reason;
    await this.#drop([...this.#made.keys()].filter((made) => this.all[made]?.region === index));
    this.content.regions[index] = await copyOf(region);
  }

  async #drop(indices: readonly number[]): Promise<void> {
    const registrations = indices.flatMap((index) => this.#made.get(index)?.registrations ?? []);
    for (const index of indices) this.#made.delete(index);
    await Promise.all(registrations.map((registration) => registration.close()));
  }
}

async function copyOf(region: Region): Promise<Region> {
  const copy = await Region.allocate(region.byteLength);
  try {
    await native().copyRegion(region.handle, copy.handle, availableParallelism());
  } catch (error) {
    copy.close();
    throw toWeightcastError(error, { doing: 'cannot copy a weight file into memory' });
  }
  region.close();
  return copy;
}
