/** The bytes that benchmarks move: other ones at every place, and known to both sides without being sent. */
import { WeightcastError, throwIfAborted } from '../../errors.js';
import { contentPieceBytes, contentScratch, tensorContent } from '../../model/tensor-content.js';
import type { Region } from '../../region.js';

const block = BigInt(contentPieceBytes);
/** Blocks made before the event loop has its turn: some 20 ms. */
const turn = 64;

/** Block `index` of the content: it follows from its number alone, so that any window of a buffer can be checked. */
function blockOf(index: bigint, scratch: Int32Array): Uint8Array {
  return tensorContent(0, `block ${String(index)}`, 'U8', scratch)(block);
}

/** Fills a region with the content from its first byte on. */
export async function fillContent(region: Region, signal: AbortSignal): Promise<void> {
  await eachBlock(0n, region.byteLength, signal, (offset, bytes) => {
    within(region, offset, bytes.length).set(bytes);
  });
}

/**
 * Compares a window of a region with the same window of the content.
 * @throws ERR_CHECKSUM_MISMATCH with the place of the first byte that differs.
 */
export async function checkContent(region: Region, start: bigint, length: bigint, signal: AbortSignal): Promise<void> {
  await eachBlock(start, start + length, signal, (offset, expected) => {
    const got = within(region, offset, expected.length);
    if (Buffer.compare(got, expected) === 0) return;
    const at = offset + BigInt(expected.findIndex((byte, index) => byte !== got[index]));
    throw new WeightcastError('ERR_CHECKSUM_MISMATCH', `bench: the byte at ${String(at)} is not what the seed has there`);
  });
}

/** Overwrites a region with bytes that are no content, so that a read that brings nothing cannot pass for one that did. */
export function wipe(region: Region): void {
  for (let offset = 0n; offset < region.byteLength; offset += windowBytes) windowAt(region, offset).fill(0xee);
}

/** Whole blocks; few of them, whatever the size of a region. */
const windowBytes = 1n << 30n;

function windowAt(region: Region, offset: bigint): Uint8Array {
  const left = region.byteLength - offset;
  return region.view(offset, Number(left < windowBytes ? left : windowBytes));
}

/** A part of one block. */
function within(region: Region, offset: bigint, length: number): Uint8Array {
  const at = Number(offset % windowBytes);
  return windowAt(region, offset - BigInt(at)).subarray(at, at + length);
}

/** Calls `visit` with the content of [start, end), a block or a part of one at a time. */
async function eachBlock(
  start: bigint,
  end: bigint,
  signal: AbortSignal,
  visit: (offset: bigint, bytes: Uint8Array) => void,
): Promise<void> {
  const scratch = contentScratch();
  let made = 0;
  for (let offset = start; offset < end;) {
    const index = offset / block;
    const next = (index + 1n) * block;
    const from = Number(offset % block);
    const to = next < end ? contentPieceBytes : Number(end - index * block);
    visit(offset, blockOf(index, scratch).subarray(from, to));
    offset = next;
    made += 1;
    if (made % turn === 0) {
      throwIfAborted(signal, 'bench');
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
