// The measuring half of measure.mjs. Runs inside the Soft-RoCE machine: `guest.mjs MODEL_DIR PEER RUNS SIZE...`; leaves runs.json.
import { cpSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { finished, listening, service, start, versionOf } from '../processes.mjs';
import { alternating } from '../turns.mjs';
import { BYTES, DEVICE, GID_INDEX, peers } from './peers.mjs';

const [modelFolder, peerName, count, ...sizes] = process.argv.slice(2);
const peer = peers[peerName];
const HOST = '127.0.0.1';
/** Node takes seconds to start on an emulated processor. */
const START_MS = 60_000;

const weightcast = [process.execPath, path.resolve('dist/cli/main.js')];
const wire = ['--transport', 'rdma', '--device', DEVICE, '--gid-index', GID_INDEX, '--host', HOST];

// Into the machine's own memory: what is measured is the wire, not the file system that it shares.
const model = '/tmp/model';
cpSync(modelFolder, model, { recursive: true });

const metadata = await service([...weightcast, 'serve', '--listen', '127.0.0.1:8001', '--json']);
const source = ['--server', metadata.ready.address, '--model-name', 'compare'];
const seedCommand = [...weightcast, 'seed', model, ...source, ...wire, '--json'];
const pull = (size) => [...weightcast, 'pull', ...source, '--discard', ...wire, '--queue-pairs', '1', '--slice-bytes', `${size}`, '--json'];
const seed = await service(seedCommand);

const runs = [];
const commands = { seed: seedCommand };
for (const size of sizes.map(Number)) {
  const readers = { [peerName]: { read: () => peerRun(size) }, weightcast: { read: () => ownRun(size) } };
  const measured = await alternating(`reads of ${size / 1024} KiB`, Number(count), readers);
  runs.push(...measured.map((run) => ({ ...run, size })));
  commands[size] = { server: peer.command(size), client: [...peer.command(size), HOST], pull: pull(size) };
}
await seed.stop();
await metadata.stop();

writeFileSync(
  path.join(process.env.RDMA_OUT, 'runs.json'),
  JSON.stringify({
    runs,
    commands,
    versions: {
      [peer.package]: versionOf('dpkg-query', '-W', '-f', '${Version}', peer.package),
      rdmaCore: versionOf('dpkg-query', '-W', '-f', '${Version}', 'ibverbs-providers'),
      kernel: versionOf('uname', '-r'),
      node: process.version,
    },
  }),
);

async function peerRun(size) {
  const server = start(peer.command(size));
  try {
    await listening(peer.port, START_MS);
    const output = await finished([...peer.command(size), HOST]);
    return { bytes: BYTES, seconds: BYTES / peer.bytesPerSecond(output, size), output };
  } finally {
    server.kill();
  }
}

async function ownRun(size) {
  const result = JSON.parse(await finished(pull(size)));
  if (result.transport !== 'rdma') throw new Error(`the pull went over ${result.transport}: ${result.transportReason}`);
  const bytes = Number(result.bytes);
  return { bytes, seconds: bytes / (result.wireGBps * 1e9), result };
}
