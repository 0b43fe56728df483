/** Reads of parts of a seed's buffer into an equal buffer of this process. */
import { WeightcastError } from '../../errors.js';
import { Region } from '../../region.js';
import type { PullSettings } from '../../target/index.js';
import type { CpuMeter } from '../measure/cpu.js';
import { timedPull, type TimedPull } from '../measure/timed-pull.js';
import { checkContent, wipe } from '../source/content.js';
import { findOffer } from '../source/found.js';
import { requireMemory } from '../source/memory.js';
import type { Wire } from '../source/offer.js';
import type { Depth } from './options.js';

/** What the seed of `bench read` and `bench fanout` offers: one tensor of this name. */
export const bufferName = 'buffer';

export interface Window {
  readonly start: number;
  readonly bytes: number;
}

export class Reader implements Disposable {
  private constructor(
    private readonly session: string,
    private readonly address: bigint,
    private readonly region: Region,
    private readonly wire: Wire,
    private readonly signal: AbortSignal,
  ) {}

  /** @throws ERR_NO_SOURCE, ERR_SERVER_UNREACHABLE, ERR_OUT_OF_MEMORY. The caller disposes of it. */
  static async open(server: string, wire: Wire, signal: AbortSignal): Promise<Reader> {
    const { session, tensors } = await findOffer(server, bufferName, signal);
    const [buffer] = tensors;
    if (buffer === undefined) throw new WeightcastError('ERR_NO_SOURCE', `bench: ${server} offers an empty buffer`, { peer: server });
    requireMemory(buffer.bytes, 'the measuring side');
    const region = await Region.allocate(buffer.bytes);
    return new Reader(session, buffer.address, region, wire, signal);
  }

  /** Bytes of the buffer, on either side. */
  get bytes(): number {
    return Number(this.region.byteLength);
  }

  /** Reads a window in reads of `size` bytes. */
  read({ start, bytes }: Window, size: number, { outstanding, queuePairs }: Depth, meter?: CpuMeter): Promise<TimedPull> {
    const settings: PullSettings = {
      into: {
        kind: 'tensors',
        tensors: [{ name: bufferName, data: { region: this.region, offset: BigInt(start), byteLength: BigInt(bytes) } }],
      },
      ...this.wire,
      ...(outstanding !== undefined && { readsInFlight: outstanding }),
      ...(queuePairs !== undefined && { queuePairs, connections: queuePairs }),
      sliceBytes: size,
      verify: false,
      signal: this.signal,
    };
    const tensors = [{ name: bufferName, address: this.address + BigInt(start), bytes: BigInt(bytes) }];
    return timedPull({ ...settings, session: { id: this.session, tensors } }, meter);
  }

  /** Makes sure that what is in the buffer afterwards was read afterwards; touches every page. */
  wipe(): void {
    wipe(this.region);
  }

  /** @returns the bytes that were compared. @throws ERR_CHECKSUM_MISMATCH. */
  async check({ start, bytes }: Window): Promise<number> {
    await checkContent(this.region, BigInt(start), BigInt(bytes), this.signal);
    return bytes;
  }

  [Symbol.dispose](): void {
    this.region.close();
  }
}
