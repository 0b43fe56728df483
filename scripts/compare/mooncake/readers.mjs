// What both readers of a comparison with Mooncake have in common, whatever the transport: memory, bytes that must arrive, taking turns.
import { availableParallelism } from 'node:os';
import { native } from '../../../dist/native.js';
import { Region } from '../../../dist/region.js';
import { busySeconds } from '../processors.mjs';

/** Defaults of `pull`; threads stay where the kernel has them. */
export const wire = {
  queuePairs: undefined,
  readsInFlight: 16,
  connections: 4,
  stallTimeoutMs: 10_000,
  processorsOf: () => '',
  signal: undefined,
};

/** Where each tensor begins, one after the other. */
export function offsetsOf(tensors) {
  let end = 0;
  return new Map(
    tensors.map(([name, bytes]) => {
      const offset = end;
      end += bytes;
      return [name, offset];
    }),
  );
}

/**
 * `batch_transfer_sync_read` of all tensors, into memory that is registered once; every byte is compared after the clock stopped.
 * @param {import('./peer.mjs').Peer} peer
 * @param batch so many tensors a call, one call after the other; default all in one. Only the calls are timed.
 */
export async function theirReader(peer, { host, session, placed, source, destination, batch = destination.length }) {
  await peer.call('initialize', { host });
  await peer.call('allocate', { tensors: destination, align: 8 });
  await peer.call('register');
  const offsets = Object.fromEntries(offsetsOf(source));
  const batches = [];
  for (let first = 0; first < destination.length; first += batch) {
    batches.push(Object.fromEntries(destination.slice(first, first + batch).map(([name]) => [name, placed[name][0]])));
  }
  return {
    async read() {
      await peer.call('clear');
      const sum = { seconds: 0, cpuSeconds: 0, bytes: 0 };
      const busy = busySeconds();
      for (const addresses of batches) {
        const { result, ...took } = await peer.call('read', { session, addresses });
        if (result !== 0) throw new Error(`batch_transfer_sync_read returned ${result}\n${peer.log.slice(-4000)}`);
        for (const what of Object.keys(sum)) sum[what] += took[what];
      }
      const allCpuSeconds = busySeconds() - busy;
      const wrong = await peer.call('misnumbered', { sources: offsets });
      if (wrong.length > 0) throw new Error(`Mooncake read ${wrong.length} tensors with wrong bytes, among them ${wrong[0]}`);
      return { ...sum, allCpuSeconds };
    },
  };
}

/**
 * Memory of ours for the tensors in the order of `destination`, and the placement that `transfer` takes.
 * @returns `clear` before a read; `check` after it throws when a byte is not as it is at the seed (peer.py's `number`)
 */
export async function ourMemory({ placed, source, destination }) {
  const bytes = destination.reduce((sum, [, size]) => sum + size, 0);
  const region = await Region.allocate(BigInt(bytes));
  const at = offsetsOf(destination);
  const placement = {
    regions: [region.handle],
    tensors: destination.map(([name, size]) => ({ name, address: BigInt(placed[name][0]), bytes: BigInt(size) })),
    at: destination.map(([name]) => ({ region: 0, offset: BigInt(at.get(name)) })),
  };
  const check = await checkOf(region, source, destination, at);
  return { region, bytes, placement, clear: () => region.view(0n, bytes).fill(0), check };
}

/** Checksums of all tensors as they must be, once; then compared with those of what arrived. */
async function checkOf(region, source, destination, at) {
  const from = offsetsOf(source);
  /** @type {[Uint32Array, BigUint64Array, BigUint64Array]} */
  const columns = [
    Uint32Array.from(destination, () => 0),
    BigUint64Array.from(destination, ([name]) => BigInt(at.get(name))),
    BigUint64Array.from(destination, ([, size]) => BigInt(size)),
  ];
  const checksums = () => native().checksum([region.handle], ...columns, availableParallelism()).done;
  for (const [name, size] of destination) {
    const { buffer, byteOffset } = region.view(BigInt(at.get(name)), size);
    const words = new Uint32Array(buffer, byteOffset, size / 4);
    const first = from.get(name) / 8;
    for (let word = 0; word < size / 8; word += 1) {
      words[2 * word] = first + word;
      words[2 * word + 1] = 0;
    }
  }
  const expected = await checksums();
  return async () => {
    const arrived = await checksums();
    const wrong = destination.filter((_, index) => arrived[index] !== expected[index]);
    if (wrong.length > 0) throw new Error(`weightcast read ${wrong.length} tensors with wrong bytes, among them ${wrong[0][0]}`);
  };
}
