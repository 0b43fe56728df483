/** Registration of what a seed serves: every range on every rail, REMOTE_READ and nothing else. */
import { climb } from '../device/ladder.js';
import type { DevicePath, DevicePathChoice } from '../device/path.js';
import { toWeightcastError, WeightcastError } from '../errors.js';
import { anyMemory, type HostMemory } from '../locality.js';
import type { NativeNic, NativePathChoice, NativeRegion, NativeRegistrations } from '../native.js';
import type { Logger } from '../observe/logger.js';
import type { SeedContent } from './content.js';
import type { ContentRange } from './ranges.js';
import { copyOf, stage } from './stage.js';

export interface Registered {
  /** By NIC, of each range in the order in which they were given. */
  readonly remoteKeys: readonly Uint32Array[];
  /** Why file mappings had to be copied to be pinned; `''` when none was. */
  readonly copiedBecause: string;
  /** How accelerators' memory is read, and why not in a better way; `undefined` where there was none. */
  readonly climbed: { readonly path: DevicePath; readonly reason: string } | undefined;
  close(): Promise<void>;
}

/**
 * What one native thread registers, one range after the other: little enough that many ranges, or a few large ones, keep several
 * threads busy.
 */
const batchOf = { ranges: 1024, bytes: 256n << 20n };

/** Ranges that are registered together. */
interface Batch {
  /** Index into all ranges, in order. */
  readonly indices: number[];
  bytes: bigint;
  /** The file mapping that all of them are of; `undefined`: they are of memory. */
  readonly file: number | undefined;
}

/**
 * Registers `ranges` of `content` on every NIC. A file mapping that the kernel cannot pin (Linux 6.1 refuses read-only
 * shared mappings) is copied into anonymous memory, and the content's region replaced by the copy; so is an accelerator's memory, where
 * none of the ways that `devicePath` allows works and staging is one of them.
 * @param memory - where copies are made.
 * @throws ERR_MEMLOCK_LIMIT, ERR_OUT_OF_MEMORY, ERR_REGISTRATION; nothing stays registered then.
 */
export async function register(
  nics: readonly NativeNic[],
  content: SeedContent,
  ranges: readonly ContentRange[],
  logger: Logger,
  devicePath: DevicePathChoice = 'auto',
  memory: HostMemory = anyMemory,
): Promise<Registered> {
  const registration = new Registration(nics, content, ranges, logger, memory);
  try {
    await registration.run(devicePath);
  } catch (error) {
    await registration.close();
    throw error;
  }
  const { copiedBecause, climbed } = registration;
  return { remoteKeys: registration.remoteKeys(), copiedBecause, climbed, close: () => registration.close() };
}

class Registration {
  copiedBecause = '';
  climbed: Registered['climbed'];
  /** What is registered, by NIC. */
  readonly #made = new Map<Batch, readonly NativeRegistrations[]>();

  constructor(
    private readonly nics: readonly NativeNic[],
    private readonly content: SeedContent,
    private readonly all: readonly ContentRange[],
    private readonly logger: Logger,
    private readonly memory: HostMemory,
  ) {}

  remoteKeys(): Uint32Array[] {
    const keys = this.nics.map(() => new Uint32Array(this.all.length));
    for (const [{ indices }, made] of this.#made) {
      for (const [nic, { remoteKeys }] of made.entries()) {
        const column = keys[nic] ?? remoteKeys;
        for (let row = 0; row < indices.length; row++) column[indices[row] ?? 0] = remoteKeys[row] ?? 0;
      }
    }
    return keys;
  }

  /** All NICs read all of an accelerator's memory in the same way. */
  async run(devicePath: DevicePathChoice): Promise<void> {
    const ofDevices = (index: number): boolean => this.content.regions[this.all[index]?.region ?? -1]?.device !== undefined;
    const onDevices = [...this.all.keys()].filter(ofDevices);
    await this.#runOnHost([...this.all.keys()].filter((index) => !ofDevices(index)));
    if (onDevices.length === 0) return;
    const { path, reason } = await climb(devicePath, (way) => this.#runOnDevices(onDevices, way));
    this.climbed = { path, reason };
    if (path !== 'staging') return;
    this.logger.info("accelerators' memory is copied into the host's, for peers to read", { reason });
    await stage(this.content, this.memory);
    await this.#runOnHost(onDevices);
  }

  /** All of these ranges, or none. */
  async #runOnDevices(indices: readonly number[], path: NativePathChoice): Promise<void> {
    const batches = this.#batches(indices);
    const settled = await Promise.allSettled(batches.map((batch) => this.#register(batch, path)));
    const failed = settled.find((outcome) => outcome.status === 'rejected');
    if (failed === undefined) return;
    await this.#drop(batches);
    throw toWeightcastError(failed.reason, { doing: 'cannot register weights' });
  }

  async #runOnHost(indices: readonly number[]): Promise<void> {
    let todo = this.#batches(indices);
    while (todo.length > 0) {
      const settled = await Promise.allSettled(todo.map((batch) => this.#register(batch, 'auto')));
      const unpinned = new Map<number, string>();
      for (const [which, outcome] of settled.entries()) {
        if (outcome.status === 'fulfilled') continue;
        const error = toWeightcastError(outcome.reason, { doing: 'cannot register weights' });
        const file = todo[which]?.file;
        // A copy is no file mapping: what fails for it is final.
        if (error.code !== 'ERR_REGISTRATION' || file === undefined) throw error;
        unpinned.set(file, error.message);
      }
      for (const [region, reason] of unpinned) await this.#replace(region, reason);
      todo = this.#batches(indices.filter((index) => unpinned.has(this.all[index]?.region ?? -1)));
    }
  }

  async close(): Promise<void> {
    await this.#drop([...this.#made.keys()]);
  }

  /** A file mapping has batches of its own: where it cannot be pinned, it is replaced as a whole. */
  #batches(indices: readonly number[]): Batch[] {
    const batches: Batch[] = [];
    for (const index of indices) {
      const region = this.all[index]?.region ?? -1;
      const file = this.content.regions[region]?.handle.kind === 'file' ? region : undefined;
      const bytes = this.all[index]?.length ?? 0n;
      const last = batches.at(-1);
      if (last !== undefined && last.file === file && last.indices.length < batchOf.ranges && last.bytes + bytes <= batchOf.bytes) {
        last.indices.push(index);
        last.bytes += bytes;
      } else {
        batches.push({ indices: [index], bytes, file });
      }
    }
    return batches;
  }

  /** `path` is for accelerators' memory. */
  async #register(batch: Batch, path: NativePathChoice): Promise<void> {
    const { regions, columns } = this.#columns(batch);
    const outcomes = await Promise.allSettled(this.nics.map((nic) => nic.registerAll(regions, ...columns, path)));
    this.#made.set(
      batch,
      outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])),
    );
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed === undefined) return;
    await this.#drop([batch]);
    throw failed.reason;
  }

  /** With the regions of the batch only: there may be as many as ranges. */
  #columns({ indices }: Batch): { regions: NativeRegion[]; columns: [Uint32Array, BigUint64Array, BigUint64Array] } {
    const [which, offset, length] = [
      new Uint32Array(indices.length),
      new BigUint64Array(indices.length),
      new BigUint64Array(indices.length),
    ];
    const regions: NativeRegion[] = [];
    const places = new Map<number, number>();
    for (let row = 0; row < indices.length; row++) {
      const index = indices[row] ?? 0;
      const range = this.all[index];
      const region = this.content.regions[range?.region ?? -1];
      if (range === undefined || region === undefined) throw new WeightcastError('ERR_INTERNAL', `no region of range ${String(index)}`);
      const place = places.get(range.region) ?? regions.push(region.handle) - 1;
      places.set(range.region, place);
      which[row] = place;
      offset[row] = range.offset;
      length[row] = range.length;
    }
    return { regions, columns: [which, offset, length] };
  }

  /** Puts a copy in the place of a region; those of its ranges that could be pinned are to be registered again. */
  async #replace(index: number, reason: string): Promise<void> {
    const region = this.content.regions[index];
    if (region === undefined) return;
    this.logger.info('the kernel cannot pin this file mapping; copying it', { bytes: region.byteLength, reason });
    this.copiedBecause = reason;
    await this.#drop([...this.#made.keys()].filter(({ file }) => file === index));
    this.content.regions[index] = await copyOf(region, 'cannot copy a weight file into memory', this.memory);
    region.close();
  }

  async #drop(batches: readonly Batch[]): Promise<void> {
    const registrations = batches.flatMap((batch) => this.#made.get(batch) ?? []);
    for (const batch of batches) this.#made.delete(batch);
    await Promise.all(registrations.map((each) => each.close()));
  }
}
