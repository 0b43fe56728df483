/** `weightcast bench` over software RDMA: both rails, registration, ib_read_bw in the same session. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { benchReport } from '../../support/bench-report.js';
import { runCli } from '../../support/cli.js';
import { temporaryFolder } from '../../support/cluster.js';

/** Everything is emulated here. */
const timeoutMs = 240_000;

test('read over both rails, which are never presented as hardware', async () => {
  const page = join(await temporaryFolder(), 'report.html');
  const args = ['bench', 'read', '--transport', 'rdma', '--rails', '2', '--size', '64KiB,1MiB', '--iters', '40', '--buffer', '32MiB'];
  const report = benchReport('read', await runCli([...args, '--latency-samples', '3', '--json', '--report', page], { timeoutMs }));
  assert.equal(report.link.transport, 'rdma');
  assert.equal(report.link.software, true);
  assert.deepEqual(
    report.link.rails.map(({ device, software, rateGbps, framing }) => [device, software, rateGbps, framing]),
    ['rxe0', 'rxe1'].map((device) => [device, true, null, 'RoCE v2, IPv4']),
  );
  for (const { ceilingGBps, averageGBps, lanes } of report.sizes) {
    assert.equal(ceilingGBps, null);
    assert.ok(averageGBps > 0);
    assert.deepEqual(lanes.map(({ name }) => name).sort(), ['rxe0>rxe0', 'rxe1>rxe1']);
  }
  assert.ok(report.notes.includes('RDMA in software (Soft-RoCE): these are not figures of RDMA hardware'));
  assert.match(report.noPerftest, /2 were used/);
  assert.match(await readFile(page, 'utf8'), /class="warn">RDMA in software/);
});

test('read of one device, with ib_read_bw beside it', async (t) => {
  const args = ['bench', 'read', '--transport', 'rdma', '--device', 'rxe0', '--gid-index', '1', '--size', '65536', '--iters', '100'];
  const report = benchReport(
    'read',
    await runCli([...args, '--outs', '16', '--buffer', '32MiB', '--latency-samples', '3', '--json'], { timeoutMs }),
  );
  assert.equal(report.noPerftest, '');
  const [theirs] = report.perftest ?? [];
  assert.equal(theirs?.bytes, 65_536);
  assert.ok(theirs.averageGBps > 0);
  t.diagnostic(`ours ${String(report.sizes[0]?.averageGBps)} GB/s, ib_read_bw ${String(theirs.averageGBps)} GB/s`);
});

test('a whole pull, several targets, and registration', async (t) => {
  const wire = ['--transport', 'rdma', '--json', '--repetitions', '1'];
  const model = benchReport('model', await runCli(['bench', 'model', ...wire, '--scale', '32'], { timeoutMs }));
  assert.equal(model.tensors, 339);
  assert.equal(model.registrations, 1);
  assert.ok(model.phases.register.min > 0);
  assert.equal(model.verifiedBytes, model.bytes);

  const fanout = benchReport('fanout', await runCli(['bench', 'fanout', ...wire, '--targets', '2', '--buffer', '4MiB'], { timeoutMs }));
  assert.equal(fanout.link.software, true);
  assert.equal(fanout.targets.length, 2);

  const register = benchReport(
    'register',
    await runCli(['bench', 'register', '--json', '--repetitions', '2', '--scale', '32'], { timeoutMs }),
  );
  assert.equal(register.software, true);
  assert.deepEqual(
    register.ways.map(({ way, registrations }) => [way, registrations]),
    [
      ['per tensor', 339],
      ['merged', 1],
    ],
  );
  t.diagnostic(`registration: merged is ${register.mergedIsFasterBy.toFixed(1)} times as fast`);
});
