// The measuring half of rdma.mjs. Runs inside the Soft-RoCE machine: `guest.mjs RUNS`; leaves runs.json.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { closeRails, openRails } from '../../../dist/rails.js';
import { connectRdma, registerLocal } from '../../../dist/target/connect-rdma.js';
import { LocalEnd } from '../../../dist/target/local-end.js';
import { pairRails } from '../../../dist/target/pairing.js';
import { transfer } from '../../../dist/target/wire.js';
import { Peer, version } from './peer.mjs';
import { ourMemory, theirReader, wire } from './readers.mjs';
import { workloads } from './workloads.mjs';
import { versionOf } from '../processes.mjs';
import { alternating } from '../turns.mjs';

const RUNS = Number(process.argv[2]);
const HOST = '10.77.0.1';
const GID_INDEX = 1;

/**
 * Without the second one Mooncake pairs any device with any, and waits for ever for reads between rails, which are separate
 * networks here.
 */
const environment = { MC_GID_INDEX: `${GID_INDEX}`, MC_ENABLE_DEST_DEVICE_AFFINITY: '1' };

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

/** One seed; their reader and ours take turns. */
async function measured({ name, source, destination }) {
  const seed = new Peer(environment);
  const reader = new Peer(environment);
  const session = await seed.call('initialize', { host: HOST });
  const placed = await seed.call('allocate', { tensors: source, align: 8 });
  await seed.call('number');
  await seed.call('register');
  const what = { host: HOST, session, placed, source, destination };
  const theirs = await theirReader(reader, what);
  const ours = await ourReader(what);
  const runs = await alternating(name, RUNS, { mooncake: theirs, weightcast: ours });
  await ours.close();
  await reader.stop();
  await seed.stop();
  return runs;
}

/** The data path of `pull`, without what comes before and after it: from the list of tensors to the last byte in memory. */
async function ourReader({ session, placed, source, destination }) {
  const { region, bytes, placement, clear, check } = await ourMemory({ placed, source, destination });
  const local = await LocalEnd.open(HOST, rails.nics);
  const descriptor = await local.fetchPeer(session, 'rdma', undefined);
  const pairs = pairRails(rails.nics, descriptor);
  const nics = pairs.map((pair) => pair.nic);
  const registrations = await registerLocal(nics, [region.handle], [{ offset: 0n, length: BigInt(bytes) }], 'auto');
  return {
    async read() {
      clear();
      const connection = await connectRdma(local, descriptor, pairs, registrations, { ...wire, sessionId: session });
      const usage = process.cpuUsage();
      const began = performance.now();
      const open = { connection, sliceBytes: SLICE_BYTES, staging: undefined, deviceMemory: undefined };
      const { outcome } = await transfer(open, placement, {
        checksums: [],
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
