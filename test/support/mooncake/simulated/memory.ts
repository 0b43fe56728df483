/** Weights of a simulated peer, at addresses that it makes up. */

export interface SimulatedBuffer {
  readonly address: number;
  readonly bytes: Buffer;
}

export type Placed = Readonly<Record<string, { readonly address: number; readonly bytes: Buffer }>>;

/** Tensors one after the other, in as many registered buffers as there are lists; buffers are a gap apart. */
export function place(buffers: readonly (readonly (readonly [name: string, bytes: Uint8Array])[])[]): {
  readonly buffers: readonly SimulatedBuffer[];
  readonly tensors: Placed;
} {
  const made: SimulatedBuffer[] = [];
  const tensors: Record<string, { address: number; bytes: Buffer }> = {};
  let at = 0x7f12_3456_7000;
  for (const list of buffers) {
    const address = at;
    for (const [name, bytes] of list) {
      tensors[name] = { address: at, bytes: Buffer.from(bytes) };
      at += bytes.length;
    }
    made.push({ address, bytes: Buffer.concat(list.map(([, bytes]) => bytes)) });
    at += 8192;
  }
  return { buffers: made, tensors };
}

/** The bytes at an address, of one buffer. */
export function bytesAt(buffers: readonly SimulatedBuffer[], address: number, size: number): Buffer | undefined {
  const buffer = buffers.find((each) => address >= each.address && address + size <= each.address + each.bytes.length);
  return buffer?.bytes.subarray(address - buffer.address, address - buffer.address + size);
}
