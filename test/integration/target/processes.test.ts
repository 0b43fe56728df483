/** Sources that are processes of their own, and die: before they are asked, and while their bytes move. */
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { SourceInstanceRef, SourceStatus } from '#src/gen/model_express/p2p.js';
import { MetadataClient } from '#src/metadata/client.js';
import { selectorOf } from '#src/metadata/selection/index.js';
import { generateModel } from '#src/model/generate.js';
import { qwen2_5_7b } from '#src/model/shapes/index.js';
import { pull as pullHere, type PullOptions, type PullProgress, type PullResult } from '#src/target/index.js';
import { temporaryFolder } from '../../support/cluster.js';
import { runCli } from '../../support/cli.js';
import { pull, seed, serve, type Role } from '../../support/roles.js';
import { inOrder } from './support.js';

const folder = await temporaryFolder();
const small = join(folder, 'small');
const large = join(folder, 'large');
await generateModel(small, qwen2_5_7b({ scale: 32 }), {});
await generateModel(large, qwen2_5_7b({ scale: 12 }), {});
const { address } = await serve();
const tcp = ['--transport', 'tcp', '--host', '127.0.0.1'];

/** Seeds of one model, by worker id. */
async function seeds(
  model: string,
  modelName: string,
  workerIds: readonly string[],
  more: readonly string[] = [],
): Promise<Map<string, Role>> {
  const base = ['--server', address, '--model-name', modelName, ...tcp, ...more];
  const started = await Promise.all(workerIds.map(async (id) => [id, (await seed(model, [...base, '--worker-id', id])).role] as const));
  return new Map(started);
}

interface Attempt {
  readonly workerId: string;
  readonly code: string;
  readonly message: string;
}

test('three seeds, of which two were killed and are listed still: the third serves; then all three are said', async () => {
  const ids = ['seed-a', 'seed-b', 'seed-c'];
  const roles = await seeds(small, 'three', ids);
  await using client = new MetadataClient(address);
  const ready = await client.listSources({ modelNameFilter: 'three', statusFilter: SourceStatus.SOURCE_STATUS_READY });
  const target = { modelName: 'three', workerId: 'target-1', workerRank: 0 };
  const order = selectorOf('rendezvous_hash')
    .order(
      ready.map((ref) => SourceInstanceRef.fromPartial(ref)),
      target,
    )
    .map((ref) => ref.workerId);
  assert.deepEqual([...order].sort(), ids);
  const [first = '', second = '', third = ''] = order;
  await roles.get(first)?.stop('SIGKILL');
  await roles.get(second)?.stop('SIGKILL');

  const args = ['--server', address, '--model-name', 'three', '--worker-id', 'target-1', ...tcp, '--discard'];
  const ended = await pull([...args, '--selector', 'rendezvous_hash']);
  assert.equal(ended.code, 0, ended.stderr);
  const summary = ended.printed[0] as { workerId: string; selector: string; attempts: readonly Attempt[]; verified: { tensors: number } };
  assert.equal(summary.workerId, third);
  assert.equal(summary.selector, 'rendezvous_hash');
  assert.equal(summary.verified.tensors, 339);
  assert.deepEqual(
    summary.attempts.map(({ workerId, code }) => [workerId, code]),
    [
      [first, 'ERR_SOURCE_GONE'],
      [second, 'ERR_SOURCE_GONE'],
    ],
    'the order that the hash gives',
  );

  // The same by the environment, as text.
  const text = await runCli(['pull', ...args], { env: { MX_P2P_SOURCE_SELECTOR: 'rendezvous_hash' } });
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /chosen +by rendezvous_hash, after 2 that failed/);
  assert.match(text.stdout, new RegExp(`failed: worker ${first} after .*: ERR_SOURCE_GONE: .*ECONNREFUSED`));
  assert.match(text.stderr, /WARN +a source failed/);

  await roles.get(third)?.stop('SIGKILL');
  const none = await pull([...args, '--selector', 'rendezvous_hash']);
  assert.equal(none.code, 3);
  const error = none.printed.at(-1)?.['error'] as { code: string; message: string; attempts: readonly Attempt[] };
  assert.equal(error.code, 'ERR_SOURCE_GONE');
  assert.deepEqual(
    error.attempts.map(({ workerId }) => workerId),
    [first, second, third],
  );
  for (const id of ids) assert.match(error.message, new RegExp(`worker ${id}: ERR_SOURCE_GONE: `));
});

/** A pull of the large model whose first source is struck by `signal` as soon as bytes of it arrive. */
async function strikeFirst(
  modelName: string,
  signal: NodeJS.Signals,
  options: Partial<PullOptions>,
): Promise<{ result: PullResult; struck: Role; places: string }> {
  const roles = await seeds(large, modelName, ['first', 'second'], ['--no-checksums']);
  const struck = roles.get('first');
  assert.ok(struck);
  const places = await temporaryFolder();
  const running = pullHere({
    ...{ identity: { modelName }, server: address, host: '127.0.0.1', transport: 'tcp' },
    into: { kind: 'directory', path: join(places, 'out') },
    selector: inOrder('first', 'second'),
    // Small reads on one connection, so that there is a middle to be struck in.
    ...{ connections: 1, sliceBytes: 4096, perTensor: true },
    ...options,
  });
  let before: PullProgress | undefined;
  for await (const progress of running) {
    if (before !== undefined || progress.phase !== 'wire' || progress.bytes === 0n) continue;
    before = progress;
    struck.process.kill(signal);
  }
  const result = await running;
  assert.ok(before?.attempt === 1 && before.bytes < before.totalBytes, 'struck in the middle of the first source');
  return { result, struck, places };
}

/** The model is there, byte for byte, and nothing else. */
async function assertWhole(places: string): Promise<void> {
  assert.deepEqual(await readdir(places), ['out']);
  const names = (await readdir(large)).sort();
  assert.deepEqual((await readdir(join(places, 'out'))).sort(), names);
  for (const name of names) {
    assert.ok((await readFile(join(places, 'out', name))).equals(await readFile(join(large, name))), `${name} differs`);
  }
}

test('a source killed while its bytes move: the next one finishes, and nothing of the first is left', async () => {
  const { result, places } = await strikeFirst('killed', 'SIGKILL', {});
  assert.equal(result.workerId, 'second');
  assert.deepEqual(
    result.attempts.map(({ workerId, code }) => [workerId, code]),
    [['first', 'ERR_PEER_LOST']],
  );
  await assertWhole(places);
});

test('a source that falls silent while its bytes move is given up when its time is up', async () => {
  const { result, struck, places } = await strikeFirst('stopped', 'SIGSTOP', { transferTimeoutMs: 5000 });
  assert.equal(result.workerId, 'second');
  assert.equal(result.attempts[0]?.code, 'ERR_STALLED');
  assert.match(result.attempts[0].message, /took longer than its budget of 5000 ms \(transferTimeoutMs\): .* aborted after \d+ bytes/);
  await assertWhole(places);
  await struck.stop('SIGKILL');
});

test('flags before environment, and bad values of both', async () => {
  const roles = await seeds(small, 'flags', ['only']);
  const args = ['pull', '--server', address, '--model-name', 'flags', ...tcp, '--discard', '--json'];
  const env = { MX_P2P_SOURCE_SELECTOR: 'fastest', MX_TRANSFER_TIMEOUT: 'soon' };
  const warned = await runCli(args, { env });
  assert.equal(warned.code, 0, warned.stderr);
  assert.equal(warned.json[0]?.['selector'], 'random');
  assert.match(warned.stderr, /MX_P2P_SOURCE_SELECTOR names no selector; random is used/);
  assert.match(warned.stderr, /MX_TRANSFER_TIMEOUT is no positive number/);
  const flags = await runCli([...args, '--selector', 'load_aware', '--transfer-timeout', '60'], { env });
  assert.equal(flags.code, 0, flags.stderr);
  assert.equal(flags.json[0]?.['selector'], 'load_aware');
  assert.doesNotMatch(flags.stderr, /MX_/, 'what a flag says is not looked up');
  const unknown = await runCli([...args, '--selector', 'fastest']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /Expected a selector: random, rendezvous_hash, load_aware, topology_aware\./);
  await roles.get('only')?.stop();
});
