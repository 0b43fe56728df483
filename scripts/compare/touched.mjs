// Memory of a program's own to read into, as both sides of a comparison have it: its pages are there.
import { Region } from '../../dist/index.js';

/**
 * @param {number} count @param {number} bytes of each
 * @returns {Promise<{ region: Region, into: object }>} `into`: as `pull` takes it, for the tensors that offer.mjs offers
 */
export async function touched(count, bytes) {
  const region = await Region.allocate(BigInt(count * bytes));
  for (let index = 0; index < count; index += 1) region.view(BigInt(index * bytes), bytes).fill(1);
  const at = (index) => ({ region, offset: BigInt(index * bytes), byteLength: BigInt(bytes) });
  const tensors = Array.from({ length: count }, (_, index) => ({ name: `tensor.${index}`, data: at(index) }));
  return { region, into: { kind: 'tensors', tensors } };
}
