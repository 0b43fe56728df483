/**
 * BLAKE2b without a key (RFC 7693), with digests of any length. Node's crypto has only the 64-byte digest; a shorter one
 * is not its beginning, since the length is a parameter of the hash.
 *
 * 64-bit words are pairs of 32-bit numbers, low half first: several times faster than bigint.
 */
import { WeightcastError } from '../../errors.js';

const blockBytes = 128;
const rounds = 12;

/** The initial state: fractions of the square roots of the first eight primes. */
const initial = Uint32Array.of(
  ...[0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a],
  ...[0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19],
);

/** Which message word each half step of a round takes. Rounds 10 and 11 are as 0 and 1. */
const schedule: readonly (readonly number[])[] = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

/** Columns, then diagonals of the 4 × 4 state. */
const quarters: readonly (readonly [number, number, number, number])[] = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

/**
 * The digest of `message`.
 * @param digestBytes 1 to 64.
 * @throws ERR_INVALID_ARGUMENT for another length.
 */
export function blake2b(message: Uint8Array, digestBytes: number): Buffer {
  if (!Number.isInteger(digestBytes) || digestBytes < 1 || digestBytes > 64) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `Expected a digest of 1 to 64 bytes but received ${String(digestBytes)}`);
  }
  const state = initial.slice();
  // Parameter block: digest length, no key, fanout 1, depth 1.
  state[0] = (state[0] as number) ^ 0x0101_0000 ^ digestBytes;
  const block = new DataView(new ArrayBuffer(blockBytes));
  const bytes = new Uint8Array(block.buffer);
  let taken = 0;
  do {
    const part = message.subarray(taken, taken + blockBytes);
    bytes.fill(0).set(part);
    taken += part.length;
    compress(state, block, taken, taken === message.length);
  } while (taken < message.length);
  const digest = Buffer.alloc(64);
  for (const [index, word] of state.entries()) digest.writeUInt32LE(word, index * 4);
  return digest.subarray(0, digestBytes);
}

/** Mixes one block into `state`; `taken` counts the message's bytes up to the block's end. */
function compress(state: Uint32Array, block: DataView, taken: number, last: boolean): void {
  const v = new Uint32Array(32);
  v.set(state);
  v.set(initial, 16);
  v[24] = (v[24] as number) ^ taken;
  v[25] = (v[25] as number) ^ Math.floor(taken / 2 ** 32);
  if (last) {
    v[28] = ~(v[28] as number);
    v[29] = ~(v[29] as number);
  }
  const words = new Uint32Array(32);
  for (let index = 0; index < 32; index++) words[index] = block.getUint32(index * 4, true);
  for (let round = 0; round < rounds; round++) {
    const order = schedule[round % schedule.length] as readonly number[];
    for (const [step, [a, b, c, d]] of quarters.entries()) {
      addTo(v, a, b, words, order[2 * step] as number);
      rotate(v, d, a, 32);
      add(v, c, d);
      rotate(v, b, c, 24);
      addTo(v, a, b, words, order[2 * step + 1] as number);
      rotate(v, d, a, 16);
      add(v, c, d);
      rotate(v, b, c, 63);
    }
  }
  for (let index = 0; index < 16; index++) {
    state[index] = (state[index] as number) ^ (v[index] as number) ^ (v[index + 16] as number);
  }
}

/** v[a] += v[b] */
function add(v: Uint32Array, a: number, b: number): void {
  const low = (v[2 * a] as number) + (v[2 * b] as number);
  v[2 * a + 1] = (v[2 * a + 1] as number) + (v[2 * b + 1] as number) + (low >= 2 ** 32 ? 1 : 0);
  v[2 * a] = low;
}

/** v[a] += v[b] + words[word] */
function addTo(v: Uint32Array, a: number, b: number, words: Uint32Array, word: number): void {
  const low = (v[2 * a] as number) + (v[2 * b] as number) + (words[2 * word] as number);
  v[2 * a + 1] = (v[2 * a + 1] as number) + (v[2 * b + 1] as number) + (words[2 * word + 1] as number) + Math.floor(low / 2 ** 32);
  v[2 * a] = low;
}

/** v[a] = (v[a] ^ v[b]) rotated right by `bits` */
function rotate(v: Uint32Array, a: number, b: number, bits: number): void {
  const low = (v[2 * a] as number) ^ (v[2 * b] as number);
  const high = (v[2 * a + 1] as number) ^ (v[2 * b + 1] as number);
  if (bits === 32) {
    v[2 * a] = high;
    v[2 * a + 1] = low;
  } else if (bits === 63) {
    v[2 * a] = (low << 1) | (high >>> 31);
    v[2 * a + 1] = (high << 1) | (low >>> 31);
  } else {
    v[2 * a] = (low >>> bits) | (high << (32 - bits));
    v[2 * a + 1] = (high >>> bits) | (low << (32 - bits));
  }
}
