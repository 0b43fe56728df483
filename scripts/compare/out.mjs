// `pull` into a directory, which writes while it reads, beside reading all and then writing with the same writer: over a loopback that
// is as slow as a network, in a network namespace of its own. At the loopback's own speed both would only share the processors.
import { mkdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { pull } from '../../dist/index.js';
import { WeightFiles } from '../../dist/target/destinations/weight-files.js';
import { openOffer } from './offer.mjs';
import { outputOf } from './output-of.mjs';
import { reportRates } from './rates.mjs';
import { root } from '../testing/shell.mjs';
import { folder, loadBefore, saveRecord } from './record.mjs';
import { alternating } from './turns.mjs';
import { versionOf } from './processes.mjs';

export const title = 'a pull of 1 GiB over TCP at 4 Gb/s into a directory, written while reading, beside reading first and writing then';

const RUNS = 7;
/** @type {[count: number, bytes: number]} */
const TENSORS = [64, 16 * 2 ** 20];
const BYTES = TENSORS[0] * TENSORS[1];
const LEAST_RATIOS = { after: 1 };
const place = path.join(folder, 'out');

/** Makes the namespace's loopback and then becomes the command. */
const SLOW_LOOPBACK = 'ip link set lo up && tc qdisc add dev lo root tbf rate 4gbit burst 4mb latency 50ms && exec "$@"';

/**
 * @param {string} [where] `inside`: of the namespace, already
 * @returns {Promise<boolean>} whether the bar holds
 */
export async function measure(where) {
  if (where === 'inside') return await measureHere();
  const again = [process.execPath, path.join(root, 'scripts/compare/main.mjs'), 'out', 'inside'];
  const { status, error } = spawnSync('unshare', ['--net', 'sh', '-c', SLOW_LOOPBACK, 'sh', ...again], { stdio: 'inherit' });
  if (error) throw error;
  return status === 0;
}

async function measureHere() {
  const loadAverageBefore = loadBefore();
  mkdirSync(folder, { recursive: true });
  const offer = await openOffer({ name: 'compare-out', tensors: TENSORS, wire: { transport: 'tcp', host: '127.0.0.1' } });
  try {
    const readers = {
      weightcast: { read: () => fresh(() => whileReading(offer.from)) },
      after: { read: () => fresh(() => afterReading(offer.from)) },
      discard: { read: () => fresh(() => discarded(offer.from)) },
    };
    const runs = await alternating('1 GiB', RUNS, readers);
    const report = reportRates('1 GiB into a directory', runs, LEAST_RATIOS);
    const early = runs.filter(({ who }) => who === 'weightcast').map(({ early }) => ((100 * early) / BYTES).toFixed(0));
    console.log(`in the files before the last byte was read: ${early.join(', ')} % of all; "discard" is the pull without a file`);
    saveRecord('out', {
      title,
      unit: 'GB/s, 1 GB = 1e9 bytes; bytes over the whole pull, until all files are closed and named (not: on the disk)',
      ...report,
      loadAverageBefore,
      runs,
      network: SLOW_LOOPBACK,
      versions: { kernel: versionOf('uname', '-r'), filesystem: versionOf('stat', '-f', '-c', '%T', folder) },
      caveats: [
        'both write into the page cache, from the same memory with the same calls; what was written before is removed and synced before each run',
      ],
    });
    return report.holds;
  } finally {
    rmSync(place, { recursive: true, force: true });
    await offer.stop();
  }
}

/** Nothing of the run before is still being written back, or taken back by the file system. */
async function fresh(read) {
  rmSync(place, { recursive: true, force: true });
  spawnSync('sync');
  return read();
}

async function whileReading(from) {
  const begun = performance.now();
  const result = await read(from, { kind: 'directory', path: place });
  return {
    bytes: BYTES,
    seconds: (performance.now() - begun) / 1000,
    early: Number(outputOf(result, 'directory').writtenWhileReading),
    phases: result.phases,
  };
}

async function afterReading(from) {
  const begun = performance.now();
  const result = await read(from, { kind: 'memory' });
  const { region } = outputOf(result, 'memory');
  mkdirSync(place);
  const file = { name: 'model.safetensors', head: Buffer.alloc(4096), offset: 0n, bytes: region.byteLength };
  await new WeightFiles(place, place, region, [file]).finish(() => undefined, undefined);
  const seconds = (performance.now() - begun) / 1000;
  region.close();
  if (statSync(path.join(place, file.name)).size < BYTES) throw new Error('not everything was written');
  return { bytes: BYTES, seconds, phases: result.phases };
}

async function discarded(from) {
  const begun = performance.now();
  await read(from, { kind: 'discard' });
  return { bytes: BYTES, seconds: (performance.now() - begun) / 1000 };
}

/** Every tensor's checksum is compared. */
async function read(from, into) {
  const result = await pull({ ...from, host: '127.0.0.1', transport: 'tcp', into });
  if (result.transport !== 'tcp' || result.verified?.tensors !== TENSORS[0]) {
    throw new Error(`${result.transport}, verified ${result.verified?.tensors} of ${TENSORS[0]} tensors`);
  }
  return result;
}
