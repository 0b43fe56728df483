// The measuring half of mooncake-rdma.mjs. Runs inside the Soft-RoCE machine: `mooncake-guest.mjs RUNS`; leaves runs.json.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { availableParallelism } from 'node:os';
import { native } from '../../dist/native.js';
import { closeRails, openRails } from '../../dist/rails.js';
import { Region } from '../../dist/region.js';
import { connectRdma, registerLocal } from '../../dist/target/connect-rdma.js';
import { LocalEnd } from '../../dist/target/local-end.js';
import { pairRails } from '../../dist/target/pairing.js';
import { transfer } from '../../dist/target/wire.js';
import { Peer, version } from './mooncake-peer.mjs';
import { versionOf } from './processes.mjs';
import { workloads } from './mooncake-workloads.mjs';

const RUNS = Number(process.argv[2]);
const HOST = '10.77.0.1';
const GID_INDEX = 1;

/**
 * Without the second one Mooncake pairs any device with any, and waits for ever for reads between rails, which are separate
 * networks here.
 */
const environment = { MC_GID_INDEX: `${GID_INDEX}`, MC_ENABLE_DEST_DEVICE_AFFINITY: '1' };

/** Defaults of `pull`. */
const wire = { queuePairs: undefined, readsInFlight: 16, connections: 1, stallTimeoutMs: 10_000, signal: undefined };
const SLICE_BYTES = 1 << 20;

const rails = await openRails({ transport: 'rdma', gidIndex: GID_INDEX });
const results = [];
for (const workload of workloads) results.push({ name: workload.name, runs: await measured(workload) });
await closeRails(rails);

writeFileSync(
  path.join(process.env.RDMA_OUT, 'runs.json'),
  JSON.stringify({
    results,
    versions: {
      mooncake: version,
      kernel: versionOf('uname', '-r'),
      node: process.version,
      rdmaCore: versionOf('dpkg-query', '-W', '-f', '${Version}', 'ibverbs-providers'),
    },
  }),
);

/** One seed; their reader and ours take turns, after a read of each to warm up. */
async function measured({ name, source, destination }) {
  const seed = new Peer(environment);
  const reader = new Peer(environment);
  const session = await seed.call('initialize', { host: HOST });
  const placed = await seed.call('allocate', { tensors: source, align: 8 });
  await seed.call('number');
  await seed.call('register');
  const theirs = await theirReader(reader, session, placed, source, destination);
  const ours = await ourReader(session, placed, source, destination);
  const runs = [];
  for (let run = 0; run <= RUNS; run += 1) {
    for (const [who, read] of [
      ['mooncake', theirs.read],
      ['weightcast', ours.read],
    ]) {
      const result = { who, run, ...(await read()) };
      console.log(`${name}, ${run === 0 ? 'warming up' : `run ${run} of ${RUNS}`}: ${who} ${gigabytes(result).toFixed(4)} GB/s`);
      if (run > 0) runs.push(result);
    }
  }
  await ours.close();
  await reader.stop();
  await seed.stop();
  return runs;
}

function gigabytes({ bytes, seconds }) {
  return bytes / seconds / 1e9;
}

/** Where each tensor begins, one after the other. */
function offsetsOf(tensors) {
  let end = 0;
  return new Map(
    tensors.map(([name, bytes]) => {
      const offset = end;
      end += bytes;
      return [name, offset];
    }),
  );
}

/** `batch_transfer_sync_read` of all tensors, into memory that is registered once. */
async function theirReader(peer, session, placed, source, destination) {
  await peer.call('initialize', { host: HOST });
  await peer.call('allocate', { tensors: destination, align: 8 });
  await peer.call('register');
  const addresses = Object.fromEntries(destination.map(([name]) => [name, placed[name][0]]));
  const offsets = Object.fromEntries(offsetsOf(source));
  return {
    async read() {
      await peer.call('clear');
      const { result, seconds, cpuSeconds, bytes } = await peer.call('read', { session, addresses });
      if (result !== 0) throw new Error(`batch_transfer_sync_read returned ${result}\n${peer.log.slice(-4000)}`);
      const wrong = await peer.call('misnumbered', { sources: offsets });
      if (wrong.length > 0) throw new Error(`Mooncake read ${wrong.length} tensors with wrong bytes, among them ${wrong[0]}`);
      return { seconds, cpuSeconds, bytes };
    },
  };
}

/** The data path of `pull`, without what comes before and after it: from the list of tensors to the last byte in memory. */
async function ourReader(session, placed, source, destination) {
  const bytes = destination.reduce((sum, [, size]) => sum + size, 0);
  const region = await Region.allocate(BigInt(bytes));
  const local = await LocalEnd.open(HOST, rails.nics);
  const descriptor = await local.fetchPeer(session, 'rdma', undefined);
  const pairs = pairRails(rails.nics, descriptor);
  const registrations = await registerLocal(
    pairs.map((pair) => pair.nic),
    [region.handle],
    [{ offset: 0n, length: BigInt(bytes) }],
  );
  const at = offsetsOf(destination);
  const placement = {
    regions: [region.handle],
    tensors: destination.map(([name, size]) => ({ name, address: BigInt(placed[name][0]), bytes: BigInt(size) })),
    at: destination.map(([name]) => ({ region: 0, offset: BigInt(at.get(name)) })),
  };
  const check = await checkOf(region, source, destination, at);
  return {
    async read() {
      region.view(0n, bytes).fill(0);
      const connection = await connectRdma(local, descriptor, pairs, registrations, { ...wire, sessionId: session });
      const usage = process.cpuUsage();
      const began = performance.now();
      const { outcome } = await transfer(connection, placement, {
        sliceBytes: SLICE_BYTES,
        merge: true,
        peer: session,
        signal: undefined,
        onProgress: () => undefined,
      });
      const seconds = (performance.now() - began) / 1000;
      const { user, system } = process.cpuUsage(usage);
      await connection.close();
      await check();
      const reads = outcome.lanes.reduce((sum, lane) => sum + lane.workRequests, 0);
      return { seconds, cpuSeconds: (user + system) / 1e6, bytes, reads };
    },
    async close() {
      for (const registration of registrations.flat()) await registration.close();
      await local.close();
      region.close();
    },
  };
}

/** Checksums of all tensors as they must be, once; then compared with those of what arrived. */
async function checkOf(region, source, destination, at) {
  const from = offsetsOf(source);
  const columns = [
    Uint32Array.from(destination, () => 0),
    BigUint64Array.from(destination, ([name]) => BigInt(at.get(name))),
    BigUint64Array.from(destination, ([, size]) => BigInt(size)),
  ];
  const checksums = () => native().checksum([region.handle], ...columns, availableParallelism()).done;
  for (const [name, size] of destination) {
    const words = new Uint32Array(
      region.view(BigInt(at.get(name)), size).buffer,
      region.view(BigInt(at.get(name)), size).byteOffset,
      size / 4,
    );
    const first = from.get(name) / 8;
    for (let word = 0; word < size / 8; word += 1) words[2 * word] = first + word;
  }
  const expected = await checksums();
  return async () => {
    const arrived = await checksums();
    const wrong = destination.filter((_, index) => arrived[index] !== expected[index]);
    if (wrong.length > 0) throw new Error(`weightcast read ${wrong.length} tensors with wrong bytes, among them ${wrong[0][0]}`);
  };
}
