/** A program's own tensors as seed content: JavaScript buffers, parts of regions, raw addresses. */
import { spansOf } from '../device/allocations.js';
import { nativeDevice } from '../device/check.js';
import type { NativeDeviceId } from '../device/device.js';
import { WeightcastError } from '../errors.js';
import { parseDtype } from '../model/dtypes.js';
import { flatShape } from '../model/flat-shape.js';
import { Region } from '../region.js';
import { checkTensor, type ContentTensor, type SeedContent } from './content.js';
import type { SeedTensor } from './options.js';

/** A tensor before it has a region: where its bytes are, by address. */
interface Located {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: bigint;
  readonly home: Home;
  /** Bytes from the home's start; the address itself for raw memory. */
  readonly offset: bigint;
}

type Home =
  { readonly region: Region } | { readonly buffer: ArrayBuffer } | { readonly address: true } | { readonly device: NativeDeviceId };

/** @throws ERR_INVALID_ARGUMENT naming the tensor; of memory of accelerators, ERR_ACCELERATOR_UNAVAILABLE, ERR_ACCELERATOR. */
export async function contentOfTensors(tensors: readonly SeedTensor[]): Promise<SeedContent> {
  const seen = new Set<string>();
  const located = tensors.map((tensor) => locate(tensor, seen));
  const regions: Region[] = [];
  const owned: Region[] = [];
  const placed: ContentTensor[] = [];

  const place = (tensor: Located, region: number, offset: bigint): void => {
    const { name, dtype, shape, bytes } = tensor;
    placed.push({ name, dtype, shape, bytes, region, offset, file: -1, fileOffset: 0n });
  };
  const own = (region: Region): number => {
    owned.push(region);
    return regions.push(region) - 1;
  };

  const ofHome = new Map<Region | ArrayBuffer, number>();
  const raw: Located[] = [];
  const onDevices: (Located & { readonly device: NativeDeviceId; readonly address: bigint })[] = [];
  for (const tensor of located) {
    if (tensor.bytes === 0n) {
      place(tensor, 0, 0n);
      continue;
    }
    if ('address' in tensor.home) {
      raw.push(tensor);
      continue;
    }
    if ('device' in tensor.home) {
      onDevices.push({ ...tensor, device: tensor.home.device, address: tensor.offset });
      continue;
    }
    const key = 'region' in tensor.home ? tensor.home.region : tensor.home.buffer;
    let index = ofHome.get(key);
    if (index === undefined) {
      index = key instanceof Region ? regions.push(key) - 1 : own(Region.fromBuffer(key));
      ofHome.set(key, index);
    }
    place(tensor, index, tensor.offset);
  }
  // Raw addresses: neighbours become one region, so that they are one registration.
  raw.sort((a, b) => (a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0));
  for (let first = 0; first < raw.length;) {
    const start = raw[first]?.offset ?? 0n;
    let end = start;
    let next = first;
    for (let tensor = raw[next]; tensor !== undefined && tensor.offset <= end; tensor = raw[++next]) {
      if (tensor.offset + tensor.bytes > end) end = tensor.offset + tensor.bytes;
    }
    const index = own(Region.fromAddress(start, end - start, { writable: false }));
    for (const tensor of raw.slice(first, next)) place(tensor, index, tensor.offset - start);
    first = next;
  }
  const close = (): void => {
    for (const region of owned) region.close();
  };
  try {
    for (const span of await spansOf(onDevices, 'seedTensors')) {
      const index = own(await Region.fromDeviceAddress(span.device.kind, span.address, span.bytes, { writable: false }));
      for (const tensor of span.members) place(tensor, index, tensor.address - span.address);
    }
  } catch (error) {
    close();
    throw error;
  }
  return { regions, tensors: placed, weightFiles: [], modelFiles: [], close };
}

function locate(tensor: SeedTensor, seen: Set<string>): Located {
  const { name, data } = tensor;
  const dtype = parseDtype(tensor.dtype);
  if (dtype === undefined) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `seedTensors: tensor ${name} has the unknown dtype ${tensor.dtype}`, {
      tensor: name,
    });
  }
  const bytes = BigInt(data.byteLength);
  const shape = tensor.shape ?? flatShape(dtype, bytes);
  checkTensor(name, dtype, shape, bytes, seen);
  if (ArrayBuffer.isView(data)) {
    if (!(data.buffer instanceof ArrayBuffer)) {
      throw new WeightcastError(
        'ERR_INVALID_ARGUMENT',
        `seedTensors: tensor ${name} lies in a SharedArrayBuffer; use a Region or an ArrayBuffer`,
        { tensor: name },
      );
    }
    return { name, dtype, shape, bytes, home: { buffer: data.buffer }, offset: BigInt(data.byteOffset) };
  }
  if ('region' in data) {
    if (data.offset < 0n || data.offset + bytes > data.region.byteLength) {
      throw new WeightcastError(
        'ERR_INVALID_ARGUMENT',
        `seedTensors: tensor ${name} is at ${String(data.offset)} + ${String(bytes)}, outside of its region of ${String(data.region.byteLength)} bytes`,
        { tensor: name },
      );
    }
    return { name, dtype, shape, bytes, home: { region: data.region }, offset: data.offset };
  }
  const home =
    'device' in data ? { device: nativeDevice(data.device, `seedTensors: the memory of tensor ${name}`) } : ({ address: true } as const);
  return { name, dtype, shape, bytes, home, offset: data.address };
}
