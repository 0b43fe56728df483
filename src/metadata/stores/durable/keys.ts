/** Keys of the durable store: what it is, then source, worker and rank, each with its length, so that no id can pass for another. */

export type Key =
  | { readonly kind: 'source'; readonly sourceId: string }
  | { readonly kind: 'representative'; readonly sourceId: string; readonly workerId: string }
  | { readonly kind: 'record' | 'live'; readonly sourceId: string; readonly workerId: string; readonly rank: number };

const letters = { source: 's', representative: 'p', record: 'w', live: 'l' } as const;
const kinds = new Map(Object.entries(letters).map(([kind, letter]) => [letter, kind as Key['kind']]));

export function encodeKey(key: Key): Buffer {
  const parts = [Buffer.from(letters[key.kind]), text(key.sourceId)];
  if (key.kind !== 'source') parts.push(text(key.workerId));
  if (key.kind === 'record' || key.kind === 'live') parts.push(uint32(key.rank));
  return Buffer.concat(parts);
}

/** Undefined for keys that a later version has written. @throws RangeError for a key that is cut short. */
export function decodeKey(bytes: Buffer): Key | undefined {
  const kind = kinds.get(bytes.toString('latin1', 0, 1) as 's');
  if (kind === undefined) return undefined;
  const [sourceId, afterSource] = readText(bytes, 1);
  if (kind === 'source') return { kind, sourceId };
  const [workerId, afterWorker] = readText(bytes, afterSource);
  if (kind === 'representative') return { kind, sourceId, workerId };
  return { kind, sourceId, workerId, rank: bytes.readUInt32BE(afterWorker) };
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function readText(bytes: Buffer, at: number): [value: string, end: number] {
  const end = at + 4 + bytes.readUInt32BE(at);
  if (end > bytes.length) throw new RangeError('the key ends within an id');
  return [bytes.toString('utf8', at + 4, end), end];
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
