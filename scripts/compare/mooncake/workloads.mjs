// What is read from a Mooncake seed in the comparisons: [name, bytes] each, as they lie at the seed and at the reader.
import { shuffledIndex } from '../shuffled.mjs';

const COUNT = 10_000;
const SMALL_BYTES = 16 * 1024;
const LARGE_BYTES = 2 ** 30;

/** @type {[string, number][]} */
const small = Array.from({ length: COUNT }, (_, index) => [`t${index}`, SMALL_BYTES]);
/** @type {[string, number][]} */
const large = [['w', LARGE_BYTES]];

/**
 * `leastRatio`: ours over Mooncake's rate, over RDMA.
 * @type {readonly { name: string, leastRatio: number, source: [string, number][], destination: [string, number][] }[]}
 */
export const workloads = [
  { name: '10 000 tensors of 16 KiB', leastRatio: 1.5, source: small, destination: small },
  { name: 'the same, in another order at the reader', leastRatio: 1.5, source: small, destination: shuffled(small) },
  { name: '1 GiB in one tensor', leastRatio: 1, source: large, destination: large },
];

function shuffled(tensors) {
  return tensors.map((_, index) => tensors[shuffledIndex(index, tensors.length)]);
}
