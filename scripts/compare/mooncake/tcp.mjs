// Our reader beside Mooncake's own, out of one Mooncake seed, over TCP on this computer.
import { availableParallelism } from 'node:os';
import { connectTcp } from '../../../dist/target/connect-tcp.js';
import { LocalEnd } from '../../../dist/target/local-end.js';
import { transfer } from '../../../dist/target/wire.js';
import { Peer } from './peer.mjs';
import { ourMemory, theirReader, wire } from './readers.mjs';
import { report } from './report.mjs';
import { workloads } from './workloads.mjs';
import { busySeconds, cpuByThread } from '../processors.mjs';
import { alternating } from '../turns.mjs';

/** Runs of each reader and workload, alternating. */
const RUNS = 7;

/** Ours over Mooncake's rate, of every workload. */
const LEAST_RATIO = 2;

const HOST = '127.0.0.1';

/** Mooncake 0.3.13 refuses more than 2048 requests at once over TCP; about 1000 are what it reads fastest in. */
const BATCH = 1000;

/** What ticks may be wrong by, a few at either end of a read. */
const TICKS_SECONDS = 0.03;

/** @returns {Promise<{ holds: boolean, leastRatio: number, batch: number, results: object[] }>} */
export async function measureTcp() {
  const results = [];
  for (const workload of workloads) results.push(report({ name: workload.name, runs: await measured(workload) }, LEAST_RATIO, 'TCP'));
  return { holds: results.every(({ holds }) => holds), leastRatio: LEAST_RATIO, batch: BATCH, results };
}

/** One seed; their reader and ours take turns. */
async function measured({ name, source, destination }) {
  const seed = new Peer({ MC_FORCE_TCP: '1' });
  const reader = new Peer({ MC_FORCE_TCP: '1' });
  try {
    const session = await seed.call('initialize', { host: HOST });
    const placed = await seed.call('allocate', { tensors: source, align: 8 });
    await seed.call('number');
    await seed.call('register');
    const what = { host: HOST, session, placed, source, destination };
    const theirs = await theirReader(reader, { ...what, batch: BATCH });
    const ours = await ourReader(what);
    const readers = { mooncake: besideSeed(seed, theirs.read), weightcast: besideSeed(seed, ours.read) };
    const runs = await alternating(name, RUNS, readers);
    await ours.close();
    return runs;
  } finally {
    await reader.stop();
    await seed.stop();
  }
}

/** From the first connect to the last byte in memory: the data path of `pull`. */
async function ourReader({ session, placed, source, destination }) {
  const memory = await ourMemory({ placed, source, destination });
  const local = await LocalEnd.open(HOST, []);
  const descriptor = await local.fetchPeer(session, 'tcp', undefined);
  return {
    async read() {
      memory.clear();
      const busy = busySeconds();
      const usage = process.cpuUsage();
      const began = performance.now();
      const connection = await connectTcp(descriptor, { ...wire, sessionId: session });
      const open = { connection, sliceBytes: connection.sliceBytes, staging: undefined, deviceMemory: undefined };
      const { outcome } = await transfer(open, memory.placement, {
        checksums: [],
        merge: true,
        peer: session,
        signal: undefined,
        onProgress: () => undefined,
      });
      const seconds = (performance.now() - began) / 1000;
      const { user, system } = process.cpuUsage(usage);
      const allCpuSeconds = busySeconds() - busy;
      await connection.close();
      await memory.check();
      const reads = outcome.lanes.reduce((sum, lane) => sum + lane.workRequests, 0);
      return { seconds, cpuSeconds: (user + system) / 1e6, allCpuSeconds, bytes: memory.bytes, reads };
    },
    async close() {
      await local.close();
      memory.region.close();
    },
  };
}

/** Adds what the seed's process, and the busiest of its threads, ran for meanwhile, and what others took of the processors. */
function besideSeed(seed, read) {
  return {
    async read() {
      const before = cpuByThread(seed.process.pid);
      const result = await read();
      const spent = [...cpuByThread(seed.process.pid)].map(([thread, seconds]) => seconds - (before.get(thread) ?? 0));
      const seedCpuSeconds = spent.reduce((sum, seconds) => sum + seconds, 0);
      const others = result.allCpuSeconds - result.cpuSeconds - seedCpuSeconds;
      const othersShare = Math.max(0, others - TICKS_SECONDS) / (result.seconds * availableParallelism());
      return { ...result, seedCpuSeconds, seedBusiestThreadSeconds: Math.max(...spent), othersShare };
    },
  };
}
