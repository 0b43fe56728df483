/** Registration of what a seed serves: every range on every rail, REMOTE_READ and nothing else. */
import { availableParallelism } from 'node:os';
import { WeightcastError, toWeightcastError } from '../errors.js';
import { native, type NativeNic, type NativeRegistration } from '../native.js';
import type { Logger } from '../observe/logger.js';
import { Region } from '../region.js';
import type { ContentRange, SeedContent } from './content.js';

/** A range with its keys: `registrations[i]` is on NIC i. */
export interface RegisteredRange {
  readonly address: bigint;
  readonly length: bigint;
  readonly registrations: readonly NativeRegistration[];
}

export interface Registered {
  readonly ranges: readonly RegisteredRange[];
  /** Why file mappings had to be copied to be pinned; `''` when none was. */
  readonly copiedBecause: string;
  close(): Promise<void>;
}

/** In flight at once: enough to keep the native threads busy without 10 000 pending promises. */
const BATCH = 64;

/**
 * Registers `ranges` of `content` on every NIC. A file mapping that the kernel cannot pin (Linux 6.1 refuses read-only
 * shared mappings) is copied into anonymous memory, and the content's region replaced by the copy: a weight file is one
 * range, since its tensors cover it, so no other range lies in the region that is replaced.
 * @throws ERR_MEMLOCK_LIMIT, ERR_OUT_OF_MEMORY, ERR_REGISTRATION; nothing stays registered then.
 */
export async function register(
  nics: readonly NativeNic[],
  content: SeedContent,
  ranges: readonly ContentRange[],
  logger: Logger,
): Promise<Registered> {
  const registered: RegisteredRange[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(registered.flatMap((range) => range.registrations.map((registration) => registration.close())));
  };
  let copiedBecause = '';
  try {
    for (let start = 0; start < ranges.length; start += BATCH) {
      const batch = ranges.slice(start, start + BATCH);
      const settled = await Promise.allSettled(batch.map((range) => registerRange(nics, content, range)));
      for (const [index, outcome] of settled.entries()) if (outcome.status === 'fulfilled') registered[start + index] = outcome.value;
      for (const [index, outcome] of settled.entries()) {
        const range = batch[index];
        if (outcome.status === 'fulfilled' || range === undefined) continue;
        const error = toWeightcastError(outcome.reason, { doing: 'cannot register weights' });
        const region = content.regions[range.region];
        if (error.code !== 'ERR_REGISTRATION' || region?.handle.kind !== 'file') throw error;
        logger.info('the kernel cannot pin this file mapping; copying it', { bytes: region.byteLength, reason: error.message });
        copiedBecause = error.message;
        content.regions[range.region] = await copyOf(region);
        registered[start + index] = await registerRange(nics, content, range).catch((reason: unknown) => {
          throw toWeightcastError(reason, { doing: 'cannot register the copy of a weight file' });
        });
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { ranges: registered, copiedBecause, close };
}

async function registerRange(nics: readonly NativeNic[], content: SeedContent, range: ContentRange): Promise<RegisteredRange> {
  const region = content.regions[range.region];
  if (region === undefined) throw new WeightcastError('ERR_INTERNAL', `no region ${String(range.region)}`);
  const outcomes = await Promise.allSettled(nics.map((nic) => nic.register(region.handle, range.offset, range.length, 'remote-read')));
  const registrations = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    await Promise.all(registrations.map((registration) => registration.close()));
    throw failed.reason;
  }
  return { address: region.address + range.offset, length: range.length, registrations };
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
