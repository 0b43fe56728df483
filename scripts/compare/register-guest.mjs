// The measuring half of register.mjs. Runs inside the Soft-RoCE machine: `register-guest.mjs RUNS LOOP`; leaves runs.json.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { silentLogger } from '../../dist/observe/logger.js';
import { closeRails, openRails } from '../../dist/rails.js';
import { register } from '../../dist/seed/register.js';
import { usedMemory } from './memory.mjs';
import { versionOf } from './processes.mjs';

const RUNS = Number(process.argv[2]);
const LOOP = process.argv[3];
const DEVICE = 'rxe0';
const [COUNT, BYTES] = [3_000, 16 * 1024];

const rails = await openRails({ transport: 'rdma', devices: [DEVICE], gidIndex: 1 });
const { region } = await usedMemory([COUNT, BYTES]);
const tensors = Array.from({ length: COUNT }, (_, index) => ({ region: 0, offset: BigInt(index * BYTES), length: BigInt(BYTES) }));
const ways = {
  loop: await cLoop(),
  'per tensor': () => ours(tensors),
  merged: () => ours([{ region: 0, offset: 0n, length: region.byteLength }]),
};
const runs = [];
for (let run = 0; run <= RUNS; run += 1) {
  for (const [who, once] of Object.entries(ways)) {
    const { registerMs, releaseMs } = await once();
    const when = run === 0 ? 'warming up' : `run ${run} of ${RUNS}`;
    console.log(`${when}: ${who} ${registerMs.toFixed(1)} ms, and ${releaseMs.toFixed(1)} ms to release`);
    if (run > 0) runs.push({ who, run, registerMs, releaseMs });
  }
}
ways.loop.end();
await closeRails(rails);

writeFileSync(
  path.join(process.env.RDMA_OUT, 'runs.json'),
  JSON.stringify({
    runs,
    tensors: [COUNT, BYTES],
    versions: {
      rdmaCore: versionOf('dpkg-query', '-W', '-f', '${Version}', 'ibverbs-providers'),
      kernel: versionOf('uname', '-r'),
      node: process.version,
    },
  }),
);

/** Registers the ranges as a seed does, then releases them. */
async function ours(ranges) {
  const start = performance.now();
  const content = { regions: [region], tensors: [], weightFiles: [], modelFiles: [], close: () => undefined };
  const registrations = await register(rails.nics, content, ranges, silentLogger);
  const registered = performance.now();
  await registrations.close();
  return { registerMs: registered - start, releaseMs: performance.now() - registered };
}

/** register-loop.c, which does it again for each line that it gets. */
async function cLoop() {
  const child = spawn(LOOP, [DEVICE, `${COUNT}`, `${BYTES}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const once = async () => {
    child.stdin.write('\n');
    const { done, value } = await lines.next();
    if (done === true) throw new Error(`${LOOP} ended`);
    const [registerMs, releaseMs] = value.split(' ').map((ns) => Number(ns) / 1e6);
    return { registerMs, releaseMs };
  };
  return Object.assign(once, { end: () => child.stdin.end() });
}
