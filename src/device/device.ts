/** Which accelerator is meant: `{ cuda: 0 }` in programs, `cuda:0` in text. */
import type { NativeDeviceKind } from '../native.js';

/** An accelerator of this machine, by its driver and as that driver counts: NVIDIA's `cuda`, AMD's `hip`. */
export type DeviceId = { readonly cuda: number } | { readonly hip: number };

/** The same, as the addon takes it. */
export interface NativeDeviceId {
  readonly kind: NativeDeviceKind;
  readonly ordinal: number;
}

/** More than any driver enumerates. */
const largestOrdinal = 1023;

export function deviceId({ kind, ordinal }: NativeDeviceId): DeviceId {
  return kind === 'cuda' ? { cuda: ordinal } : { hip: ordinal };
}

/** `cuda:0`; also how Mooncake's peers call the place of a buffer. */
export function deviceName({ kind, ordinal }: NativeDeviceId): string {
  return `${kind}:${String(ordinal)}`;
}

/** `cuda:0`, `hip:1`; `undefined` for anything else. */
export function parseDevice(text: string): DeviceId | undefined {
  const [, kind, digits] = /^(cuda|hip):(\d{1,4})$/.exec(text) ?? [];
  const ordinal = Number(digits);
  if (kind === undefined || !isOrdinal(ordinal)) return undefined;
  return deviceId({ kind: kind as NativeDeviceKind, ordinal });
}

/** Whether it can be one. */
export function isOrdinal(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= largestOrdinal;
}
