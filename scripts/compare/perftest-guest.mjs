// The measuring half of perftest.mjs. Runs inside the Soft-RoCE machine: `perftest-guest.mjs MODEL_DIR`; leaves runs.json.
import { cpSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { averageOf } from './perftest-output.mjs';
import { finished, listening, service, start, versionOf } from './processes.mjs';

/** Runs of each, alternating. */
const RUNS = 7;

const MiB = 1024 * 1024;
/** Reads of these sizes, so much in all. */
const SIZES = [MiB, 64 * 1024];
const PEER_BYTES = 256 * MiB;

const DEVICE = 'rxe0';
const GID_INDEX = '1';
const PERFTEST_PORT = 18515;
/** Node takes seconds to start on an emulated processor. */
const START_MS = 60_000;

const weightcast = [process.execPath, path.resolve('dist/cli/main.js')];
const wire = ['--transport', 'rdma', '--device', DEVICE, '--gid-index', GID_INDEX, '--host', '127.0.0.1'];
const ibReadBw = (size) => [
  'ib_read_bw',
  '-d',
  DEVICE,
  '-x',
  GID_INDEX,
  '-F',
  '-s',
  `${size}`,
  '-n',
  `${PEER_BYTES / size}`,
  '-o',
  '16',
  '-q',
  '1',
];

// Into the machine's own memory: what is measured is the wire, not the file system that it shares.
const model = '/tmp/model';
cpSync(process.argv[2], model, { recursive: true });

const metadata = await service([...weightcast, 'serve', '--listen', '127.0.0.1:8001', '--json']);
const source = ['--server', metadata.ready.address, '--model-name', 'compare'];
const seedCommand = [...weightcast, 'seed', model, ...source, ...wire, '--json'];
const pull = (size) => [...weightcast, 'pull', ...source, '--discard', ...wire, '--queue-pairs', '1', '--slice-bytes', `${size}`, '--json'];
const seed = await service(seedCommand);

const runs = [];
for (let run = 1; run <= RUNS; run += 1) {
  for (const size of SIZES) {
    for (const measure of [peerRun, ownRun]) {
      const result = { run, size, ...(await measure(size)) };
      runs.push(result);
      console.log(`run ${run} of ${RUNS}, reads of ${size / 1024} KiB: ${result.who} ${result.GBps.toFixed(4)} GB/s`);
    }
  }
}
await seed.stop();
await metadata.stop();

writeFileSync(
  path.join(process.env.RDMA_OUT, 'runs.json'),
  JSON.stringify({
    runs,
    commands: {
      seed: seedCommand,
      ...Object.fromEntries(
        SIZES.map((size) => [size, { server: ibReadBw(size), client: [...ibReadBw(size), '127.0.0.1'], pull: pull(size) }]),
      ),
    },
    versions: {
      perftest: versionOf('dpkg-query', '-W', '-f', '${Version}', 'perftest'),
      rdmaCore: versionOf('dpkg-query', '-W', '-f', '${Version}', 'ibverbs-providers'),
      kernel: versionOf('uname', '-r'),
      node: process.version,
    },
  }),
);

async function peerRun(size) {
  const server = start(ibReadBw(size));
  try {
    await listening(PERFTEST_PORT, START_MS);
    const output = await finished([...ibReadBw(size), '127.0.0.1']);
    return { who: 'ib_read_bw', bytes: PEER_BYTES, GBps: averageOf(output, size), output };
  } finally {
    server.kill();
  }
}

async function ownRun(size) {
  const result = JSON.parse(await finished(pull(size)));
  if (result.transport !== 'rdma') throw new Error(`the pull went over ${result.transport}: ${result.transportReason}`);
  return { who: 'weightcast', bytes: Number(result.bytes), GBps: result.wireGBps, result };
}
