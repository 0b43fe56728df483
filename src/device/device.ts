/** Which accelerator is meant: `{ cuda: 0 }` in programs, `cuda:0` in text. */
import { WeightcastError } from '../errors.js';
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

/**
 * @param what begins the message: the call and the option.
 * @throws ERR_INVALID_ARGUMENT for anything but one kind with an ordinal.
 */
export function nativeDevice(device: DeviceId, what: string): NativeDeviceId {
  const entries = typeof device === 'object' ? Object.entries(device as Readonly<Record<string, unknown>>) : [];
  const [kind, ordinal] = entries[0] ?? [];
  if (entries.length === 1 && (kind === 'cuda' || kind === 'hip') && isOrdinal(ordinal)) return { kind, ordinal };
  throw new WeightcastError('ERR_INVALID_ARGUMENT', `${what}: expected { cuda: 0 } or { hip: 0 } but received ${JSON.stringify(device)}`);
}

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

function isOrdinal(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= largestOrdinal;
}
