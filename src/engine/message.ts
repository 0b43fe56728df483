/** What an engine says of its memory: one JSON object, see docs/gpu.md. Every field is checked; a wrong one is named. */
import { parseDevice } from '../device/device.js';
import { WeightcastError, toWeightcastError } from '../errors.js';
import { parseDtype, tensorBytes, type Dtype } from '../model/dtypes.js';

export const protocol = 'weightcast-engine-1';

/** Where an allocation is: as Weightcast's own driver counts (`cuda:0`), or by its PCI address, which all processes agree on. */
export type EngineDevice = { readonly cuda: number } | { readonly pciAddress: string };

/** Memory that is imported as one. */
export type EngineAllocation =
  | { readonly kind: 'legacy'; readonly device: EngineDevice; readonly bytes: bigint; readonly handle: Uint8Array }
  | { readonly kind: 'vmm'; readonly device: EngineDevice; readonly bytes: bigint; readonly chunks: BigUint64Array };

export interface EngineTensor {
  readonly name: string;
  /** safetensors name. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: bigint;
  /** Index into the allocations. */
  readonly allocation: number;
  /** Of its first byte in there. */
  readonly offset: bigint;
}

export interface EngineMessage {
  readonly allocations: readonly EngineAllocation[];
  readonly tensors: readonly EngineTensor[];
}

/** @throws ERR_PROTOCOL naming the field. */
export function parseMessage(line: string): EngineMessage {
  const message = object(parseJson(line), 'the message');
  if (message['protocol'] !== protocol) throw wrong('protocol', JSON.stringify(protocol), message['protocol']);
  const allocations = list(message['allocations'], 'allocations').map(allocation);
  const seen = new Set<string>();
  const tensors = list(message['tensors'], 'tensors').map((value, index) => tensor(value, `tensors[${String(index)}]`, allocations, seen));
  if (tensors.length === 0) throw wrong('tensors', 'at least one tensor', []);
  return { allocations, tensors };
}

/** Descriptors that belong to a message. */
export function descriptorsOf({ allocations }: EngineMessage): number {
  return allocations.reduce((count, each) => count + (each.kind === 'vmm' ? each.chunks.length : 0), 0);
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw wrong('the message', 'one line of JSON', line.slice(0, 80));
  }
}

function allocation(value: unknown, index: number): EngineAllocation {
  const at = `allocations[${String(index)}]`;
  const fields = object(value, at);
  const device = deviceOf(fields['device'], `${at}.device`);
  switch (fields['kind']) {
    case 'legacy': {
      const handle = fields['handle'];
      if (typeof handle !== 'string' || !/^[0-9a-f]{128}$/i.test(handle)) {
        throw wrong(`${at}.handle`, '128 hexadecimal digits (cudaIpcMemHandle_t)', handle);
      }
      return {
        kind: 'legacy',
        device,
        bytes: count(fields['bytes'], `${at}.bytes`, 1),
        handle: new Uint8Array(Buffer.from(handle, 'hex')),
      };
    }
    case 'vmm': {
      const sizes = list(fields['chunks'], `${at}.chunks`).map((size, chunk) => count(size, `${at}.chunks[${String(chunk)}]`, 1));
      if (sizes.length === 0) throw wrong(`${at}.chunks`, 'the bytes of at least one chunk', sizes);
      const bytes = sizes.reduce((sum, size) => sum + size, 0n);
      return { kind: 'vmm', device, bytes, chunks: BigUint64Array.from(sizes) };
    }
    default:
      throw wrong(`${at}.kind`, '"legacy" or "vmm"', fields['kind']);
  }
}

function deviceOf(value: unknown, at: string): EngineDevice {
  if (typeof value === 'string') {
    const device = parseDevice(value);
    if (device !== undefined && 'cuda' in device) return device;
    const pciAddress = value.toLowerCase();
    if (/^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(pciAddress)) return { pciAddress };
  }
  throw wrong(at, '"cuda:0" or a PCI address as "0000:17:00.0"', value);
}

function tensor(value: unknown, at: string, allocations: readonly EngineAllocation[], seen: Set<string>): EngineTensor {
  const fields = object(value, at);
  const name = fields['name'];
  if (typeof name !== 'string' || name === '') throw wrong(`${at}.name`, 'a name', name);
  if (seen.has(name)) throw wrong(`${at}.name`, 'a name that no other tensor has', name);
  seen.add(name);
  const dtype = typeof fields['dtype'] === 'string' ? parseDtype(fields['dtype']) : undefined;
  if (dtype === undefined) throw wrong(`${at}.dtype`, 'a dtype as "BF16" or "torch.bfloat16"', fields['dtype']);
  const shape = list(fields['shape'], `${at}.shape`).map((size, axis) => Number(count(size, `${at}.shape[${String(axis)}]`)));
  const bytes = count(fields['bytes'], `${at}.bytes`);
  const needed = sizeOf(dtype, shape, `${at}.shape`);
  if (bytes !== needed) throw wrong(`${at}.bytes`, `${String(needed)}, as ${dtype} [${shape.join(', ')}] has`, fields['bytes']);
  const index = fields['allocation'];
  const home = typeof index === 'number' ? allocations[index] : undefined;
  if (home === undefined) throw wrong(`${at}.allocation`, `the index of one of ${String(allocations.length)} allocations`, index);
  const offset = count(fields['offset'], `${at}.offset`);
  if (offset + bytes > home.bytes) {
    throw wrong(`${at}.offset`, `an offset that leaves room for ${String(bytes)} of ${String(home.bytes)} bytes`, fields['offset']);
  }
  return { name, dtype, shape, bytes, allocation: index as number, offset };
}

function sizeOf(dtype: Dtype, shape: readonly number[], at: string): bigint {
  try {
    return tensorBytes(dtype, shape);
  } catch (error) {
    throw wrong(at, `a shape of ${dtype} (${toWeightcastError(error).message})`, shape);
  }
}

function object(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(at, 'an object', value);
  return value as Record<string, unknown>;
}

function list(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(at, 'a list', value);
  return value;
}

/** A number of bytes or elements. JSON has no larger whole numbers than 2^53 - 1 that all agree on. */
function count(value: unknown, at: string, least = 0): bigint {
  if (!Number.isSafeInteger(value) || (value as number) < least) throw wrong(at, `a whole number of at least ${String(least)}`, value);
  return BigInt(value as number);
}

function wrong(at: string, expected: string, received: unknown): WeightcastError {
  const shown = received === undefined ? 'nothing' : JSON.stringify(received).slice(0, 80);
  return new WeightcastError('ERR_PROTOCOL', `the engine's message: ${at}: expected ${expected} but received ${shown}`);
}
