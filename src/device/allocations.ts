/** Raw addresses of an accelerator's memory as ranges that can be regions. */
import { WeightcastError, toWeightcastError } from '../errors.js';
import { native } from '../native.js';
import { deviceName, type NativeDeviceId } from './device.js';

/** Memory of one tensor, at an address of the accelerator's driver. */
export interface DeviceRange {
  readonly name: string;
  readonly device: NativeDeviceId;
  readonly address: bigint;
  /** Bytes, > 0. */
  readonly bytes: bigint;
}

/** Neighbours that are one region: from `address`, `bytes` long. */
export interface DeviceSpan<T> {
  readonly device: NativeDeviceId;
  readonly address: bigint;
  readonly bytes: bigint;
  readonly members: readonly T[];
}

interface Allocation {
  readonly base: bigint;
  readonly bytes: bigint;
}

/**
 * Ranges that touch or overlap as one, within one allocation only: what spans two can be registered and yet not be read. The driver is
 * asked once an allocation. A range that leaves its allocation (one of several chunks of VMM memory) stays alone.
 * @param call - begins messages.
 * @throws ERR_INVALID_ARGUMENT for a range of another device than it is said to be of, or of none; ERR_ACCELERATOR_UNAVAILABLE,
 * ERR_ACCELERATOR.
 */
export async function spansOf<T extends DeviceRange>(ranges: readonly T[], call: string): Promise<DeviceSpan<T>[]> {
  const sorted = [...ranges].sort((a, b) =>
    a.device.kind === b.device.kind
      ? Number(a.address > b.address) - Number(a.address < b.address)
      : a.device.kind < b.device.kind
        ? -1
        : 1,
  );
  const spans: { device: NativeDeviceId; address: bigint; bytes: bigint; members: T[]; allocation: Allocation }[] = [];
  for (const range of sorted) {
    const last = spans.at(-1);
    const sameKind = last?.device.kind === range.device.kind;
    const allocation = sameKind && holds(last.allocation, range.address, 1n) ? last.allocation : await allocationOf(range, call);
    if (sameKind && last.device.ordinal !== range.device.ordinal && allocation === last.allocation)
      throw elsewhere(range, last.device.ordinal, call);
    const within = last?.allocation === allocation && holds(allocation, range.address, range.bytes);
    if (within && holds(allocation, last.address, last.bytes) && range.address <= last.address + last.bytes) {
      const end = range.address + range.bytes - last.address;
      if (end > last.bytes) last.bytes = end;
      last.members.push(range);
    } else {
      spans.push({ device: range.device, address: range.address, bytes: range.bytes, members: [range], allocation });
    }
  }
  return spans;
}

function holds({ base, bytes }: Allocation, address: bigint, length: bigint): boolean {
  return address >= base && address + length <= base + bytes;
}

async function allocationOf(range: DeviceRange, call: string): Promise<Allocation> {
  const { device, name, address } = range;
  const allocation = await native()
    .deviceAllocation(device.kind, address)
    .catch((error: unknown) => {
      const doing = `${call}: cannot use the memory of tensor ${name} at 0x${address.toString(16)} of ${deviceName(device)}`;
      throw toWeightcastError(error, { doing, tensor: name });
    });
  if (allocation.ordinal !== device.ordinal) throw elsewhere(range, allocation.ordinal, call);
  return allocation;
}

function elsewhere({ name, device, address }: DeviceRange, ordinal: number, call: string): WeightcastError {
  const where = deviceName({ kind: device.kind, ordinal });
  const said = `is said to be on ${deviceName(device)}`;
  return new WeightcastError(
    'ERR_INVALID_ARGUMENT',
    `${call}: tensor ${name} ${said}, but 0x${address.toString(16)} is memory of ${where}`,
    {
      tensor: name,
    },
  );
}
