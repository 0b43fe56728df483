// The RDMA half of cost.mjs. Runs inside the Soft-RoCE machine: `guest.mjs RUNS`; leaves runs.json.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { openOffer } from '../offer.mjs';
import { finished, listening, start, versionOf } from '../processes.mjs';
import { busySeconds, softirqSeconds } from '../processors.mjs';
import { usedMemory } from '../memory.mjs';
import { Destination } from './pulls.mjs';

const RUNS = Number(process.argv[2]);
const MiB = 2 ** 20;
/**
 * Half a GiB: real pulls are hundreds of times as large, so that what one costs whatever its size should count for little.
 * @type {[count: number, bytes: number]}
 */
const TENSORS = [32, 16 * MiB];
const BYTES = TENSORS[0] * TENSORS[1];
const DEVICE = 'rxe0';
const GID_INDEX = 1;
const PERFTEST_PORT = 18515;
const START_MS = 60_000;
/** The fewest that it takes: what its start costs. */
const FEWEST = 5;

const wire = { transport: 'rdma', devices: [DEVICE], gidIndex: GID_INDEX, host: '127.0.0.1' };
const ibReadBw = (reads) => `ib_read_bw -e -d ${DEVICE} -x ${GID_INDEX} -F -q 1 -o 16 -s ${MiB} -n ${reads}`;

const offer = await openOffer({ name: 'compare-cost', tensors: TENSORS, wire });
const memory = await usedMemory(TENSORS);
const destination = new Destination(memory);
const options = { ...offer.from, ...wire, queuePairs: 1, sliceBytes: MiB };

const runs = [];
for (let run = 0; run <= RUNS; run += 1) {
  const readers = {
    unverified: () => destination.costOf({ ...options, verify: false }, { watched: false }),
    verified: () => destination.costOf({ ...options, verify: true }, { watched: false }),
    ib_read_bw: () => peer(BYTES / MiB),
    'ib_read_bw start': () => peer(FEWEST),
  };
  for (const [who, read] of Object.entries(readers)) {
    const result = { run, who, ...(await read()) };
    console.log(`run ${run} of ${RUNS}: ${who} ${JSON.stringify(result)}`);
    if (run > 0) runs.push(result);
  }
}
await offer.stop();
memory.region.close();

writeFileSync(
  path.join(process.env.RDMA_OUT, 'runs.json'),
  JSON.stringify({
    runs,
    command: ibReadBw(BYTES / MiB),
    versions: {
      perftest: versionOf('dpkg-query', '-W', '-f', '${Version}', 'perftest'),
      rdmaCore: versionOf('dpkg-query', '-W', '-f', '${Version}', 'ibverbs-providers'),
      kernel: versionOf('uname', '-r'),
    },
  }),
);

/** Processor seconds of the whole reading process, as the shell tells them, of ksoftirqd, and of the whole computer. */
async function peer(reads) {
  const server = start(ibReadBw(reads).split(' '));
  try {
    await listening(PERFTEST_PORT, START_MS);
    const busy = busySeconds();
    const softirq = softirqSeconds();
    const output = await finished(['bash', '-c', `TIMEFORMAT='processor %U %S'; { time ${ibReadBw(reads)} 127.0.0.1; } 2>&1`]);
    const [, user, system] = /^processor ([\d.]+) ([\d.]+)$/m.exec(output);
    const cpuSeconds = Number(user) + Number(system);
    return { bytes: reads * MiB, cpuSeconds, softirqSeconds: softirqSeconds() - softirq, allCpuSeconds: busySeconds() - busy, output };
  } finally {
    server.kill();
  }
}
