/**
 * Which row of a priority matrix Mooncake's readers meet first. They number a seed's devices as they first meet their names, and walk the rows
 * in the order of a hash table of libstdc++: where rows differ, it is the first of them that must list devices in the descriptor's order.
 */

/** How many buckets the table has, as it grows. */
const bucketCounts = [13, 29, 59, 127, 257, 541, 1109, 2357] as const;

/** `std::_Hash_bytes` with the seed that `std::hash` of a string has: MurmurHash64A. */
const seed = 0xc70f6907n;
const multiplier = 0xc6a4a7935bd1e995n;

/** @param locations each once, in any order; none: `undefined`. */
export function firstRow(locations: readonly string[]): string | undefined {
  // The reader's JSON library hands them over sorted, by bytes.
  const sorted = locations.map((name) => Buffer.from(name)).sort((a, b) => a.compare(b));
  let table: { readonly name: Buffer; readonly hash: bigint }[] = [];
  let growth = 0;
  for (const name of sorted) {
    if (table.length + 1 > bucketsAt(growth) && growth + 1 < bucketCounts.length) {
      growth++;
      const old = table;
      table = [];
      for (const entry of old) insert(table, entry, bucketsAt(growth));
    }
    insert(table, { name, hash: hashOf(name) }, bucketsAt(growth));
  }
  return table[0]?.name.toString();
}

/** One list for all buckets: an entry goes before the others of its bucket, and before everything where it is the first of it. */
function insert<T extends { readonly hash: bigint }>(table: T[], entry: T, buckets: number): void {
  const bucketOf = ({ hash }: T): bigint => hash % BigInt(buckets);
  const at = table.findIndex((other) => bucketOf(other) === bucketOf(entry));
  table.splice(Math.max(at, 0), 0, entry);
}

function bucketsAt(growth: number): number {
  return bucketCounts[growth] ?? 1;
}

function hashOf(bytes: Buffer): bigint {
  const times = (value: bigint): bigint => BigInt.asUintN(64, value * multiplier);
  const mixed = (value: bigint): bigint => value ^ (value >> 47n);
  let hash = seed ^ times(BigInt(bytes.length));
  const whole = bytes.length - (bytes.length % 8);
  for (let at = 0; at < whole; at += 8) hash = times(hash ^ times(mixed(times(bytes.readBigUInt64LE(at)))));
  if (whole < bytes.length) {
    let rest = 0n;
    for (let at = bytes.length - 1; at >= whole; at--) rest = (rest << 8n) | BigInt(bytes[at] ?? 0);
    hash = times(hash ^ rest);
  }
  return mixed(times(mixed(hash)));
}
