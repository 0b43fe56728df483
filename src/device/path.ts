/** How NICs get at an accelerator's memory: the ladder of ways, and why one was not taken. */
import { toWeightcastError } from '../errors.js';
import type { NativeRegion } from '../native.js';
import { deviceName } from './device.js';

/**
 * The ways, best first. `dma-buf`: the driver exports the memory, the NIC imports it. `peer-memory`: a module of the kernel lets the
 * NIC register it as if it were the host's. `staging`: the bytes go through host memory.
 */
export const devicePaths = ['dma-buf', 'peer-memory', 'staging'] as const;

export type DevicePath = (typeof devicePaths)[number];
/** A way on which the NIC reads or writes the accelerator's memory itself. */
export type DirectPath = Exclude<DevicePath, 'staging'>;

/** What may be taken: `auto`, the first that works; any other, that one or an error. */
export const devicePathChoices = ['auto', ...devicePaths] as const;

export type DevicePathChoice = (typeof devicePathChoices)[number];

/** What was taken for memory of accelerators. */
export interface DeviceMemory {
  /** Whose memory, each once: `cuda:0`. */
  readonly devices: readonly string[];
  readonly path: DevicePath;
  /** Why not the ways before it; `''` when it is the first, or was asked for. */
  readonly reason: string;
}

/** The accelerators that these regions are of, each once; none for host memory. */
export function devicesOf(regions: readonly Pick<NativeRegion, 'device'>[]): string[] {
  return [...new Set(regions.flatMap(({ device }) => (device === undefined ? [] : [deviceName(device)])))].sort();
}

/** What came of trying: `registered` on a direct path, nothing with staging. */
export type Climbed<T> =
  | { readonly path: DirectPath; readonly registered: T; readonly reason: string }
  | { readonly path: 'staging'; readonly registered: undefined; readonly reason: string };

/**
 * The first way that works, or the one that was asked for.
 * @param attempt registers all memory on all NICs in one way; leaves nothing registered when it rejects.
 * @throws what `attempt` throws where another way would not help, or none other is allowed.
 */
export async function climb<T>(choice: DevicePathChoice, attempt: (path: DirectPath) => Promise<T>): Promise<Climbed<T>> {
  const reasons: string[] = [];
  for (const path of choice === 'auto' ? devicePaths : [choice]) {
    const reason = reasons.join('; ');
    if (path === 'staging') return { path, registered: undefined, reason };
    try {
      return { path, registered: await attempt(path), reason };
    } catch (error) {
      if (choice !== 'auto' || !isRefusal(error)) throw error;
      reasons.push(toWeightcastError(error).message);
    }
  }
  throw new RangeError('the ladder has no last rung');
}

/** Whether this says that the memory cannot be registered in this way, rather than that something is broken. */
export function isRefusal(error: unknown): boolean {
  return ['ERR_REGISTRATION', 'ERR_MEMLOCK_LIMIT'].includes(toWeightcastError(error).code);
}
