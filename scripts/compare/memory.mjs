// Memory of a program that pulls: of its own, and used before, as that of peers is.
import { Region } from '../../dist/index.js';

/**
 * One region for all tensors of an offer (offer.mjs), whose pages are there.
 * @param {[count: number, bytes: number]} tensors as the offer has them
 * @param {(index: number) => number} [placeOf] where each lies here, from 0, each place once; default as at the seed
 * @returns {Promise<{ region: Region, tensors: { name: string, data: object }[], wipe: () => void }>} `tensors` for `pull`'s `into`;
 * `wipe`: overwrites all, so that a pull that brings nothing cannot pass for one that did
 */
export async function usedMemory([count, bytes], placeOf = (index) => index) {
  const region = await Region.allocate(BigInt(count * bytes));
  const wipe = () => {
    for (let index = 0; index < count; index += 1) region.view(BigInt(index * bytes), bytes).fill(0xee);
  };
  wipe();
  const at = (place) => ({ region, offset: BigInt(place * bytes), byteLength: BigInt(bytes) });
  const tensors = Array.from({ length: count }, (_, index) => ({ name: `tensor.${index}`, data: at(placeOf(index)) }));
  return { region, tensors, wipe };
}
