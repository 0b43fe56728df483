/** `weightcast bench read`, `model`, `register` and `fanout` as a user runs them, over TCP, with tiny sizes. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { benchReport } from '../../support/bench-report.js';
import { runCli } from '../../support/cli.js';
import { temporaryFolder } from '../../support/cluster.js';
import { errorOf, Role } from '../../support/roles.js';

const tiny = ['--transport', 'tcp', '--size', '4096,100000', '--iters', '40', '--latency-samples', '3', '--qp', '2'];

test('read: both sizes, every byte compared, a page and a comparison', async () => {
  const folder = await temporaryFolder();
  const kept = join(folder, 'old.json');
  const args = ['bench', 'read', ...tiny, '--buffer', '2MiB'];
  const first = await runCli([...args, '--json', '--report', join(folder, 'report.html')]);
  const report = benchReport('read', first);
  assert.equal(report.seed, 'own process');
  assert.equal(report.link.transport, 'tcp');
  assert.deepEqual(
    report.sizes.map(({ bytes, iterations, passes }) => [bytes, iterations, passes]),
    [
      [4096, 40, 5],
      [100_000, 40, 5],
    ],
  );
  for (const { bytes, iterations, averageGBps, peakGBps, passGBps, ceilingGBps, lone, lanes, verifiedBytes } of report.sizes) {
    assert.ok(passGBps.min > 0 && passGBps.min <= averageGBps && averageGBps <= peakGBps && peakGBps === passGBps.max);
    assert.equal(ceilingGBps, null, 'of TCP no ceiling is claimed');
    assert.ok(lone !== null && lone.samples === 3 && lone.minUs > 0 && lone.p50Us <= lone.p99Us);
    assert.deepEqual(lanes.map(({ name }) => name).sort(), ['tcp #1', 'tcp #2']);
    assert.equal(
      lanes.reduce((sum, lane) => sum + lane.bytes, 0),
      bytes * iterations,
    );
    assert.ok(verifiedBytes > 0 && verifiedBytes <= 2 ** 21);
  }
  assert.ok(report.timeline.wire > 0);
  assert.match(await readFile(join(folder, 'report.html'), 'utf8'), /^<!doctype html>[^]*Throughput over size[^]*<\/html>\n$/);

  // What can only be slower, and what can only be faster: no figure of this machine is judged.
  const scaled = (factor: number): string =>
    JSON.stringify({ ...report, sizes: report.sizes.map((row) => ({ ...row, averageGBps: row.averageGBps * factor })) });
  await writeFile(kept, scaled(1000));
  const slower = await runCli([...args, '--compare', kept, '--json']);
  assert.equal(slower.code, 9, slower.stderr);
  const { comparison } = slower.json[1] as { comparison: { regressed: boolean; figures: { regressed: boolean }[] } };
  assert.deepEqual([comparison.regressed, ...comparison.figures.map(({ regressed }) => regressed)], [true, true, true]);

  await writeFile(kept, scaled(0.001));
  const faster = await runCli([...args, '--compare', kept]);
  assert.equal(faster.code, 0, faster.stderr);
  assert.match(faster.stdout, /^ *#bytes +#iterations +BW peak\[GB\/s\] +BW average\[GB\/s\] +MsgRate\[Mpps\]/m);
  assert.match(faster.stdout, /as fast as before, with a tolerance of 10\.0 %/);

  const unlike = await runCli([...args, '--buffer', '4MiB', '--compare', kept]);
  assert.equal(unlike.code, 2);
  assert.match(unlike.stderr, /cannot be compared: settings was .*"bufferBytes":2097152/);

  const nothing = await runCli([...args, '--compare', join(folder, 'nothing.json')]);
  assert.equal(nothing.code, 3, 'before anything is measured');
  assert.doesNotMatch(nothing.stderr, /reads of/);
});

test('read and fanout from a seed elsewhere, which ends with its signal and offers nothing else', async () => {
  const seed = new Role([
    'bench',
    'read',
    '--serve',
    '--listen',
    '127.0.0.1:0',
    '--host',
    '127.0.0.1',
    '--transport',
    'tcp',
    '--buffer',
    '1MiB',
  ]);
  const { event, address, bytes, transports } = await seed.next();
  assert.deepEqual([event, bytes, transports], ['ready', 2 ** 20, ['tcp']]);
  const there = ['--connect', String(address), '--host', '127.0.0.1', '--transport', 'tcp', '--json'];

  const read = benchReport(
    'read',
    await runCli(['bench', 'read', ...there, '--size', '64KiB', '--duration', '0.1', '--latency-samples', '0']),
  );
  assert.equal(read.seed, 'elsewhere');
  assert.deepEqual([read.settings.seconds, read.settings.iterations, read.settings.bufferBytes], [0.1, null, 2 ** 20]);
  assert.equal(read.sizes[0]?.lone, null);
  assert.equal(read.noPerftest, 'ib_read_bw needs RDMA');

  const fanout = benchReport(
    'fanout',
    await runCli(['bench', 'fanout', ...there, '--targets', '3', '--size', '64KiB', '--repetitions', '2']),
  );
  assert.deepEqual(
    fanout.targets.map(({ target }) => target),
    [1, 2, 3],
  );
  assert.ok(fanout.fairness.min > 1 / 3 - 1e-9 && fanout.fairness.max <= 1 + 1e-9);
  assert.ok(fanout.totalGBps.min > 0 && fanout.aloneGBps.min > 0);
  assert.equal(fanout.verifiedBytes, 2 * 3 * 2 ** 20);

  const tooLarge = await runCli(['bench', 'read', ...there, '--size', '2MiB']);
  assert.equal(tooLarge.code, 2);
  assert.match(tooLarge.stderr, /reads of 2097152 bytes do not fit into a buffer of 1048576/);
  const model = await runCli(['bench', 'model', ...there, '--scale', '128', '--repetitions', '1']);
  assert.equal(model.code, 3);
  assert.match(model.stderr, /ERR_NO_SOURCE/);

  seed.process.kill('SIGTERM');
  assert.equal((await seed.ended).code, 143);
  const gone = await runCli(['bench', 'read', ...there, '--size', '64KiB']);
  assert.equal(gone.code, 4, gone.stderr);
});

test('model: every phase, all tensors verified', async () => {
  const args = ['bench', 'model', '--transport', 'tcp', '--shapes', 'llama-3-70b', '--scale', '128', '--repetitions', '2'];
  const report = benchReport('model', await runCli([...args, '--json']));
  assert.equal(report.tensors, 723);
  assert.equal(report.verifiedBytes, 2 * report.bytes);
  assert.equal(report.registrations, 0);
  for (const phase of ['discover', 'connect', 'wire', 'verify'] as const) assert.ok(report.phases[phase].min > 0, phase);
  const all = Object.values(report.timeline).reduce((sum, ms) => sum + ms, 0);
  assert.ok(all <= report.totalMs.max);
});

test('without RDMA, what needs it says so', { skip: process.env['RDMA_SHARED'] !== undefined }, async () => {
  for (const args of [['register'], ['read', '--transport', 'rdma'], ['read', '--rails', '2']]) {
    const ended = await new Role(['bench', ...args, '--quiet']).ended;
    const { code, message } = errorOf(ended, 6);
    assert.equal(code, 'ERR_RDMA_UNAVAILABLE', args.join(' '));
    assert.match(message, /RDMA is not available/);
  }
});
