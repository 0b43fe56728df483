// A pull from a seed of the same host, without a wire, beside a memcpy of as many bytes and beside UCX between two processes.
//
// Bars are for memory whose pages are there on both sides: with new ones the kernel's clearing is most of what is measured, which
// is shown beside it. What memcpy copies is memory of the seed's kind. Neither memcpy nor UCX compares anything, and a pull that does
// hashes while it reads: so pulls are timed with `verify: false`, into bytes that were wiped, and compared when the clock has stopped.
import { unlinkSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpus, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { checksums } from '../../dist/checksum.js';
import { MetadataServer, pull, Region } from '../../dist/index.js';
import { native } from '../../dist/native.js';
import { outputOf } from './output-of.mjs';
import { listening, service, start } from './processes.mjs';
import { loadBefore, saveRecord } from './record.mjs';
import { compared, median, table } from './statistics.mjs';

export const title = 'a pull on one host without a wire, beside two threads of memcpy and beside UCX (posix, cma)';

/** Runs of each side, alternating, after one to warm up. */
const RUNS = 5;

const bars = { memcpy: 0.9, ucx: 1, mappedMs: 50 };
const GIB = 2 ** 30;
const UCX_PORT = 13_337;

/** @returns {Promise<boolean>} whether every bar holds */
export async function measure() {
  const loadAverageBefore = loadBefore();
  const server = await MetadataServer.listen({ listen: '127.0.0.1:0' });
  const results = [];
  try {
    for (const memory of ['shared', 'anonymous']) {
      for (const bytes of [GIB / 2, 4 * GIB]) results.push(...(await beside(server.address, bytes, memory)));
    }
  } finally {
    await server.close(0);
  }
  const [ucx] = spawnSync('ucx_info', ['-v'], { encoding: 'utf8' }).stdout.split('\n');
  const versions = { processor: `${cpus().length} × ${cpus()[0].model}`, kernel: release(), ucx };
  console.log(table([['what', 'ours', 'theirs', 'ratio', 'lowest', 'highest', 'bar', ''], ...results.map(row)]));
  const holds = results.every((result) => result.holds);
  saveRecord('local', {
    title,
    unit: 'GB/s, 1 GB = 1e9 bytes; or ms, where that is said',
    bars,
    holds,
    loadAverageBefore,
    results,
    versions,
  });
  return holds;
}

/** @param {{ what: string, unit: string, ours: number, holds: boolean, theirs?: number, ratio?: number, lowest?: number, highest?: number, bar?: number }} result */
function row({ what, ours, theirs, ratio, lowest, highest, bar, unit, holds }) {
  const text = (value) => (value === undefined ? '' : value.toFixed(2));
  const verdict = bar === undefined ? '' : holds ? 'holds' : 'MISSED';
  return [what, `${text(ours)} ${unit}`, text(theirs), text(ratio), text(lowest), text(highest), String(bar ?? ''), verdict];
}

/** One seed in a process of its own, and all that is read of it. */
async function beside(server, bytes, memory) {
  const modelName = `compare/${memory}-${bytes}`;
  const seed = await service([process.execPath, 'scripts/compare/local-seed.mjs', server, modelName, String(bytes), memory]);
  const from = { identity: { modelName }, server, host: '127.0.0.1', transport: 'local' };
  const size = `${bytes / GIB} GiB, ${memory}`;
  const regions = [];
  try {
    const source = await touched(bytes, memory, regions);
    const into = await touched(bytes, 'anonymous', regions);
    const expected = await verifiedSums(from);
    const old = () => touchedPages(from, into, expected);
    const memcpy = await taking(old, () => copied(source, into, bytes));
    const fresh = await taking(
      () => newPages(from, expected),
      () => copiedToNewPages(source, bytes),
    );
    /** @type {Parameters<typeof row>[0][]} */
    const results = [judged(`${size}: memcpy`, bars.memcpy, memcpy), judged(`${size}: memcpy, both into new pages`, undefined, fresh)];
    if (bytes < GIB) results.push(judged(`${size}: UCX`, bars.ucx, await taking(old, () => ucxRate(bytes))));
    else if (memory === 'shared') results.push(await mapped(from, size));
    return results;
  } finally {
    for (const region of regions) region.close();
    await seed.stop();
  }
}

/** Alternates; the first of either is to warm up. */
async function taking(ours, theirs) {
  const runs = { ours: [], theirs: [] };
  for (let run = 0; run <= RUNS; run++) {
    const rates = [await ours(), await theirs()];
    if (run === 0) continue;
    runs.ours.push(rates[0]);
    runs.theirs.push(rates[1]);
  }
  return runs;
}

function judged(what, bar, runs) {
  const result = compared(runs.ours, runs.theirs);
  return { what, unit: 'GB/s', bar, holds: bar === undefined || result.ratio >= bar, ...result, runs };
}

/** Memory whose pages are there; it is added to `regions`, which the caller closes. */
async function touched(bytes, memory, regions) {
  const name = `weightcast-compare-${process.pid}`;
  const region = memory === 'shared' ? await Region.createShared(name, BigInt(bytes)) : await Region.allocate(BigInt(bytes));
  regions.push(region);
  if (memory === 'shared') unlinkSync(`/dev/shm/${name}`);
  fill(region, 1);
  return region;
}

function fill(region, value) {
  const piece = GIB / 2;
  for (let at = 0; at < region.byteLength; at += piece) region.view(BigInt(at), piece).fill(value);
}

/** The checksums of a seed's tensors by name, as a pull that verified them has them. */
async function verifiedSums(from) {
  const result = await pull({ ...from, into: { kind: 'memory' } });
  const { verified, bytes } = result;
  if (verified?.bytes !== bytes) throw new Error(`${verified?.bytes} of ${bytes} bytes verified`);
  const { region, tensors } = outputOf(result, 'memory');
  const sums = await sumsOf(region, tensors);
  region.close();
  return sums;
}

/** @param {readonly { name: string, offset: bigint, bytes: bigint }[]} tensors of the region */
async function sumsOf(region, tensors) {
  const ranges = tensors.map(({ offset, bytes }) => ({ region: 0, offset, bytes }));
  const sums = await checksums([region.handle], ranges, undefined);
  return new Map(tensors.map(({ name }, index) => [name, sums[index]]));
}

/** GB/s of the wire phase, into memory that the pull gets itself. */
async function newPages(from, expected) {
  const result = await pull({ ...from, into: { kind: 'memory' }, verify: false });
  const { region, tensors } = outputOf(result, 'memory');
  const rate = await comparedRate(result, region, tensors, expected);
  region.close();
  return rate;
}

/** The same into memory whose pages are there; what is in it is wiped, so that each run must bring every byte. */
async function touchedPages(from, region, expected) {
  fill(region, 0);
  const each = region.byteLength / BigInt(expected.size);
  const tensors = [...expected.keys()].map((name, index) => ({ name, offset: BigInt(index) * each, bytes: each }));
  const into = tensors.map(({ name, offset }) => ({ name, data: { region, offset, byteLength: each } }));
  const result = await pull({ ...from, into: { kind: 'tensors', tensors: into }, verify: false });
  return comparedRate(result, region, tensors, expected);
}

/** @throws when what came is not what the seed has */
async function comparedRate({ transport, bytes, phases }, region, tensors, expected) {
  const sums = await sumsOf(region, tensors);
  for (const [name, sum] of expected) if (sums.get(name) !== sum) throw new Error(`${name} came with other bytes than the seed's`);
  if (transport !== 'local') throw new Error(`read over ${transport}`);
  return Number(bytes) / phases.wire / 1e6;
}

/** GB/s of two threads of memcpy. */
async function copied(source, into, bytes) {
  const startedAt = performance.now();
  await native().copyRegion(source.handle, into.handle, 2);
  return bytes / (performance.now() - startedAt) / 1e6;
}

/** The same into a region that is made for it. */
async function copiedToNewPages(source, bytes) {
  const into = await Region.allocate(BigInt(bytes));
  const rate = await copied(source, into, bytes);
  into.close();
  return rate;
}

/** GB/s of `ucx_perftest`, which reads into the same buffer again and again, so that its pages are touched. */
async function ucxRate(bytes) {
  const env = ['env', 'UCX_TLS=posix,cma,self', 'UCX_WARN_UNUSED_ENV_VARS=n', 'ucx_perftest', '-p', String(UCX_PORT)];
  const serving = start(env);
  const served = once(serving, 'close');
  try {
    await listening(UCX_PORT, 10_000);
    const reading = start([...env, '127.0.0.1', '-t', 'ucp_get', '-s', String(bytes), '-n', '4']);
    const [code] = await once(reading, 'close');
    // Final: iterations, three latencies, bandwidth (2^20 bytes a second) average and overall, two message rates.
    const final = /^Final:\s+(.*)$/m.exec(reading.said.out)?.[1]?.trim().split(/\s+/);
    if (code !== 0 || final === undefined) throw new Error(`ucx_perftest ended with ${code}: ${reading.said.out}${reading.said.err}`);
    return (Number(final[5]) * 2 ** 20) / 1e9;
  } finally {
    serving.kill('SIGTERM');
    await served;
    await sleep(100);
  }
}

/** Milliseconds from the call until the tensors are there; a look at every buffer's ends shows that they are. */
async function mapped(from, size) {
  const times = [];
  for (let run = 0; run <= RUNS; run++) {
    const startedAt = performance.now();
    const result = await pull({ ...from, into: { kind: 'mapped' } });
    const took = performance.now() - startedAt;
    const output = outputOf(result, 'mapped');
    for (const { region, offset, bytes } of output.tensors) await output.regions[region].read(offset + bytes - 1n, new Uint8Array(1));
    for (const region of output.regions) region.close();
    if (run > 0) times.push(took);
  }
  const ours = median(times);
  const ends = { lowest: Math.min(...times), highest: Math.max(...times) };
  return {
    what: `${size}: mapped, ready after`,
    unit: 'ms',
    ours,
    bar: bars.mappedMs,
    holds: ours < bars.mappedMs,
    ...ends,
    runs: { ours: times },
  };
}
