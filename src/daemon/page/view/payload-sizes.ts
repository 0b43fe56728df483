/** How much workers hold: tensors and bytes, summed up from the published lists without decoding them. */
import { setImmediate } from 'node:timers/promises';
import { ArtifactSourceMetadata } from '../../../gen/model_express/p2p.js';
import type { MetadataStore, WorkerListing, WorkerPayload } from '../../../metadata/stores/store.js';
import { FieldReader } from '../../../metadata/wire/fields.js';

export interface PayloadSize {
  readonly kind: 'tensors' | 'files';
  readonly count: number;
  /** `undefined`: not summed up yet. */
  readonly bytes: number | undefined;
}

/** Descriptors that are read before others get their turn. */
const batch = 4096;
/** Descriptors that are read for one look at the page; what is left over is done for the next ones. */
const budget = 100_000;

export class PayloadSizes {
  readonly #store: MetadataStore;
  /** Lists may be megabytes: only a store that holds them in this process is asked. */
  readonly #atHand: boolean;
  readonly #byListing = new WeakMap<WorkerListing, PayloadSize>();
  readonly #byPayload = new WeakMap<WorkerPayload, PayloadSize>();

  constructor(store: MetadataStore) {
    this.#store = store;
    this.#atHand = store.name !== 'redis';
  }

  /** What is known of a worker by the last {@link load}. */
  of(listing: WorkerListing): PayloadSize | undefined {
    return this.#byListing.get(listing);
  }

  /** Finds the sizes of these workers, as far as that is cheap. A worker that is gone by now has none. */
  async load(listings: readonly WorkerListing[]): Promise<void> {
    if (!this.#atHand) return;
    let left = budget;
    for (const listing of listings) {
      if (this.#byListing.get(listing)?.bytes !== undefined) continue;
      const { sourceId, workerId } = listing;
      const payload = await this.#store.get(sourceId, workerId).then(
        (stored) => stored?.worker.payload,
        () => undefined,
      );
      if (payload === undefined) continue;
      let size = this.#byPayload.get(payload);
      if (size === undefined && left > 0) {
        size = await measure(payload);
        this.#byPayload.set(payload, size);
        left -= size.count;
      }
      this.#byListing.set(listing, size ?? { kind: 'tensors', count: payload.kind === 'tensors' ? payload.count : 0, bytes: undefined });
    }
  }
}

async function measure(payload: WorkerPayload): Promise<PayloadSize> {
  if (payload.kind === 'artifact') {
    const { fileCount, totalSize } = ArtifactSourceMetadata.decode(payload.message);
    return { kind: 'files', count: fileCount, bytes: Number(totalSize) };
  }
  let bytes = 0;
  let read = 0;
  const reader = new FieldReader(payload.entries);
  while (reader.next()) {
    bytes += tensorBytes(payload.entries, reader.valueStart, reader.end);
    if (++read % batch === 0) await setImmediate();
  }
  return { kind: 'tensors', count: payload.count, bytes };
}

/** Protobuf's, as plain numbers. */
const WireType = { varint: 0, bit64: 1, lengthDelimited: 2, bit32: 5 } as const;

/** Tag byte of `TensorDescriptor.size`. */
const sizeTag = 0x18;

/** The size of one descriptor. Exact below 2^53, as sums of honest sizes are. */
function tensorBytes(entries: Buffer, start: number, end: number): number {
  let size = 0;
  let at = start;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; at < end; factor *= 128) {
      const byte = entries[at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < end) {
    const tag = varint();
    const wireType = tag % 8;
    if (wireType === WireType.varint) {
      const value = varint();
      if (tag === sizeTag) size = value;
    } else if (wireType === WireType.lengthDelimited) {
      const length = varint();
      at += length;
    } else at += wireType === WireType.bit64 ? 8 : wireType === WireType.bit32 ? 4 : end;
  }
  return size;
}
