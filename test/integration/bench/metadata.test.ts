/** `weightcast bench metadata` as a user runs it, with tiny sizes: what it measures is not judged, that it measures is. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { MetadataReport } from '#src/bench/metadata/report.js';
import { mainScript, runCli } from '../../support/cli.js';
import { eventually } from '../../support/eventually.js';

const tiny = (
  '--repetitions 2 --seconds 0.1 --connections 1,3 --publish-tensors 2 --workers 30 --tensors 100 ' +
  '--resident-workers 10 --resident-tensors 5'
).split(' ');

test('a server of its own is measured, in every way', async () => {
  const { code, json, stderr } = await runCli(['bench', 'metadata', '--json', ...tiny]);
  assert.equal(code, 0, stderr);
  const report = json[0] as unknown as MetadataReport;
  assert.equal(report.schemaVersion, 1);
  assert.deepEqual(
    report.calls.map(({ name, connections, heartbeatsPerSecond }) => [name, connections, heartbeatsPerSecond]),
    [
      ['publish', 1, 0],
      ['publish', 3, 0],
      ['heartbeat', 1, 0],
      ['heartbeat', 3, 0],
      ['list', 1, 0],
      ['list', 1, 1],
      ['get', 1, 0],
      ['get', 4, 0],
    ],
  );
  for (const { name, calls, refused, callsPerSecond, p50Ms, p99Ms, serverCpuMs } of report.calls) {
    assert.ok(calls >= 2, name);
    assert.equal(refused, 0);
    assert.ok(callsPerSecond.min > 0 && callsPerSecond.min <= callsPerSecond.median && callsPerSecond.median <= callsPerSecond.max, name);
    assert.ok(p50Ms.min > 0 && p50Ms.median <= p99Ms.max, name);
    assert.ok(serverCpuMs !== null, name);
  }
  const got = report.calls.find(({ name }) => name === 'get');
  assert.ok((got?.replyBytes ?? 0) > 100 * 2 * 60, 'both lists of 100 tensors');
  assert.equal(report.resident?.repetitions.length, 2);
  assert.ok((report.resident.repetitions[0]?.beforeBytes ?? 0) > 2 ** 20);
});

test('what was published at a server that stays is STALE afterwards; Ctrl-C does not change that, and leaves no process', async () => {
  const { server, address, metrics } = await serve([]);
  try {
    const foreign = ['bench', 'metadata', '--server', address, '--only', 'list,get', ...tiny];

    const whole = await runCli([...foreign, '--metrics', `http://${metrics}/metrics`]);
    assert.equal(whole.code, 0, whole.stderr);
    assert.match(whole.stdout, /^list \(30 workers, /m);
    assert.match(whole.stdout, /usage from +metrics at http/);
    assert.deepEqual(await statuses(address), { STALE: 31 });

    const run = spawn(process.execPath, [mainScript, ...foreign, '--seconds', '60'], { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = once(run, 'exit');
    let told = '';
    run.stderr.setEncoding('utf8').on('data', (text: string) => (told += text));
    await eventually('measurement', () => (told.includes('round 1 of 2: list') ? true : undefined));
    assert.deepEqual(await statuses(address), { STALE: 31, READY: 31 });
    const generators = await childrenOf(run.pid ?? 0);
    assert.ok(generators.length > 0);
    run.kill('SIGINT');
    assert.deepEqual(await ended, [130, null], told);
    assert.deepEqual(await statuses(address), { STALE: 62 });
    const left = await Promise.all(generators.map((pid) => readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => '')));
    assert.deepEqual(
      left.filter((text) => text !== ''),
      [],
    );
  } finally {
    await end(server);
  }
});

test('calls that limits of the server refuse are counted, and named as what held it up', async () => {
  const { server, address } = await serve(['--max-requests-per-second', '20']);
  try {
    const short = ['--only', 'heartbeat', '--repetitions', '1', '--seconds', '1', '--connections', '2', '--publish-tensors', '1'];
    const { code, json, stderr } = await runCli(['bench', 'metadata', '--json', '--server', address, ...short]);
    assert.equal(code, 0, stderr);
    const { calls, server: measured } = json[0] as unknown as MetadataReport;
    assert.equal(measured.usageFrom, null);
    const row = calls[0];
    assert.ok(row !== undefined && row.refused > 0);
    assert.equal(row.serverCpuMs, null);
    assert.equal(row.bound, 'limits of the server');
  } finally {
    await end(server);
  }
});

interface Served {
  readonly server: ChildProcess;
  readonly address: string;
  readonly metrics: string;
}

async function serve(flags: readonly string[]): Promise<Served> {
  const args = ['serve', '--json', '--listen', '127.0.0.1:0', '--http-port', '0', '--metrics-port', 'any', ...flags];
  const server = spawn(process.execPath, [mainScript, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = (await once(createInterface({ input: server.stdout }), 'line')) as [string];
  const { address, metrics } = JSON.parse(line) as { address: string; metrics: string };
  return { server, address, metrics };
}

async function end(server: ChildProcess): Promise<void> {
  const gone = once(server, 'exit');
  server.kill('SIGTERM');
  await gone;
}

async function statuses(address: string): Promise<Record<string, number>> {
  const { json } = await runCli(['sources', '--json', '--server', address]);
  const counts: Record<string, number> = {};
  for (const { modelName, status } of (json[0] as { sources: { modelName: string; status: string }[] }).sources) {
    assert.match(modelName, /^weightcast-bench\/(listed|got)-/);
    counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}

async function childrenOf(parent: number): Promise<number[]> {
  const children: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    if (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(parent)) children.push(Number(name));
  }
  return children;
}
