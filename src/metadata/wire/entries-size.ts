/** How large a tensor list is on the wire, without encoding it. */
import type { TensorDescriptor } from '../../gen/model_express/p2p.js';

/** Bytes of what `encodeEntries` makes of the list. */
export function entriesSize(tensors: readonly TensorDescriptor[]): number {
  let bytes = 0;
  for (const tensor of tensors) {
    const length = descriptorSize(tensor);
    bytes += 1 + varintSize(length) + length;
  }
  return bytes;
}

/** Fields that are zero or empty are not written; all tags are one byte. */
function descriptorSize({ name, addr, size, deviceId, dtype }: TensorDescriptor): number {
  return textSize(name) + numberSize(addr) + numberSize(size) + numberSize(deviceId) + textSize(dtype);
}

function textSize(text: string): number {
  const length = Buffer.byteLength(text);
  return length === 0 ? 0 : 1 + varintSize(length) + length;
}

function numberSize(value: bigint | number): number {
  return value === 0n || value === 0 ? 0 : 1 + varintSize(value);
}

/** Seven bits a byte. */
function varintSize(value: bigint | number): number {
  // Above 2^53 rounding may reach the next power of two, so the upper part is taken alone.
  const high = typeof value === 'bigint' ? Number(value >> 49n) : 0;
  if (high > 0) return 7 + sizeBelow2To53(high);
  return sizeBelow2To53(Number(value));
}

function sizeBelow2To53(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest /= 128) bytes++;
  return bytes;
}
