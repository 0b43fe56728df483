/** Mirrors of Weightcast seeds: the seed goes, the weights stay. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { mirror, pull, type PullProgress } from '#src/index.js';
import { generateModel } from '#src/model/generate.js';
import { qwen2_5_7b } from '#src/model/shapes/index.js';
import { temporaryFolder } from '../../support/cluster.js';
import { assertSameModel } from '../../support/models.js';
import { pull as pullProcess, seed, serve, summaryOf } from '../../support/roles.js';
import { inOrder } from '../target/support.js';
import { mirrorProcess, readyWorkers, tcp, whatReadersSee } from './support.js';

const folder = await temporaryFolder();
const model = join(folder, 'model');
await generateModel(model, qwen2_5_7b({ scale: 24 }), { maxFileBytes: 8e6 });
const { address } = await serve();

function argsOf(modelName: string): string[] {
  return ['--server', address, '--model-name', modelName, '--dtype', 'bfloat16', ...tcp];
}

describe('a mirror of a seed', () => {
  test('outlives it: the next target gets every file, byte for byte', async () => {
    const args = argsOf('outlived');
    const seeded = await seed(model, [...args, '--accelerator', 'cuda', '--worker-id', 'seed']);
    const first = await mirrorProcess([...args, '--worker-id', 'first']);
    const { ready } = first;
    assert.equal(ready.sourceId, seeded.ready['sourceId']);
    assert.equal(ready.source.workerId, 'seed');
    assert.equal(ready.source.verified?.bytes, ready.bytes);
    assert.equal(ready.source.verified.bytesReadTwice, 0);
    assert.deepEqual([ready.backing, ready.tensors, ready.source.transport], ['memory', 339, 'tcp']);
    const origin = { sourceId: ready.sourceId, workerId: 'seed' };
    const seen = await whatReadersSee(address, origin);
    assert.equal(seen.record.accelerator, 'cuda');
    assert.ok(seen.files.has('config.json') && seen.manifest.weightFiles.length > 1);
    assert.deepEqual(await whatReadersSee(address, { ...origin, workerId: 'first' }), seen);
    assert.deepEqual(await readyWorkers(address, 'outlived'), ['first', 'seed']);

    await seeded.role.stop('SIGKILL');
    const out = join(folder, 'from-first');
    const summary = summaryOf(await pullProcess([...args, '--accelerator', 'cuda', '--out', out]));
    assert.equal(summary.verified?.bytes, summary.bytes);
    await assertSameModel(model, out);

    // A mirror of the mirror, which goes in order.
    const second = await mirrorProcess([...args, '--worker-id', 'second']);
    assert.equal(second.ready.source.workerId, 'first');
    assert.deepEqual(await whatReadersSee(address, { ...origin, workerId: 'second' }), seen);
    const stopped = await first.role.stop();
    assert.equal(stopped.code, 143);
    assert.equal(stopped.printed.at(-1)?.['event'], 'stopped');
    assert.ok(!(await readyWorkers(address, 'outlived')).includes('first'));
    const again = join(folder, 'from-second');
    summaryOf(await pullProcess([...args, '--out', again]));
    await assertSameModel(model, again);
    assert.equal((await second.role.stop('SIGINT')).code, 130);
  });

  test('waits for a source, and never takes its own record for one', async () => {
    const args = argsOf('late');
    const early = await seed(model, [...args, '--worker-id', 'twin']);
    // Its record stays READY at the server, as that of a mirror which was killed and is started again.
    await early.role.stop('SIGKILL');
    assert.deepEqual(await readyWorkers(address, 'late'), ['twin']);
    const alone = await mirrorFails([...args, '--worker-id', 'twin']);
    assert.match(alone, /ERR_NO_SOURCE: no READY source of late .*worker twin is this one itself/);
    const waiting = mirrorProcess([...args, '--worker-id', 'twin', '--wait', '60']);
    const late = await seed(model, [...args, '--worker-id', 'late']);
    const { role, ready } = await waiting;
    assert.equal(ready.source.workerId, 'late');
    assert.deepEqual(ready.source.attempts, [], 'the dead twin was not tried');
    await role.stop();
    await late.role.stop();
  });
});

test('as a library: progress, what it came from, and the memory that it gives back', async () => {
  const args = argsOf('library');
  const { role } = await seed(model, [...args, '--worker-id', 'seed', '--no-checksums']);
  const options = { identity: { modelName: 'library', dtype: 'bfloat16' }, server: address, host: '127.0.0.1', transport: 'tcp' } as const;
  const seen: PullProgress[] = [];
  const phases: string[] = [];
  await using mirrored = await mirror({
    ...options,
    workerId: 'mine',
    onProgress: (progress) => seen.push(progress),
    onPhase: (phase) => phases.push(phase),
  });
  const { summary } = mirrored;
  assert.deepEqual(phases, ['prepare', 'open', 'register', 'publish'], 'no checksums are computed a second time');
  assert.ok(seen.some(({ phase, bytes }) => phase === 'wire' && bytes === summary.bytes));
  // The seed publishes no checksums: every byte came twice, and the mirror has checksums of its own.
  assert.equal(summary.source.verified?.bytesReadTwice, summary.bytes);
  assert.match(summary.source.notes.join(), /read twice, and both reads compared/);
  await role.stop('SIGKILL');
  const result = await pull({ ...options, into: { kind: 'discard' }, selector: inOrder('mine') });
  assert.deepEqual([result.verified?.bytes, result.verified?.bytesReadTwice], [summary.bytes, 0n]);
  await mirrored.close();
  await assert.rejects(async () => pull({ ...options, into: { kind: 'discard' } }), { code: 'ERR_SOURCE_GONE' });
});

/** Standard error of a mirror that never came up, with the code of its error first. */
async function mirrorFails(args: readonly string[]): Promise<string> {
  const { Role, errorOf } = await import('../../support/roles.js');
  const { code, message } = errorOf(await new Role(['mirror', ...args]).ended, 3);
  return `${code}: ${message}`;
}
