/** How NICs get at an accelerator's memory. */
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
