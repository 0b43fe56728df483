/** Pulls that no metadata server knows of: from a session that the caller knows, and from what an SGLang server answers. */
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { generateModel } from '#src/model/generate.js';
import { readHeader } from '#src/model/safetensors.js';
import { seedModel, seedTensors, type Seed, type SeedTensor } from '#src/seed/index.js';
import { pull, type PullResult, type SessionPullOptions, type SessionTensor, type SglangPullOptions } from '#src/target/index.js';
import { runCli } from '../../support/cli.js';
import { byteTensors, temporaryFolder } from '../../support/cluster.js';
import { assertSameModel } from '../../support/models.js';
import { MooncakePeer, pattern, versions, whySkip, type Placed } from '../../support/mooncake/peer.js';

const host = '127.0.0.1';
const local = { host, transport: 'tcp' } as const;
const filled = 'origins';

/** Of awkward sizes, one without bytes; every element has a byte. */
const sizes = [
  ['model.embed.weight', 300_001],
  ['model.norm.weight', 1],
  ['model.none', 0],
  ['lm_head.weight', 4_194_305],
] as const;

interface Running {
  readonly peer: MooncakePeer;
  readonly session: string;
  readonly placed: Placed;
}

/** Memory is a mapping of the whole model, as SGLang registers it. */
async function startPeer(version: string, fill: string, env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const peer = MooncakePeer.start(version, { MC_FORCE_TCP: '1', ...env });
  const session = await peer.initialize(host);
  const placed = await peer.allocate(sizes, { filled: fill });
  await peer.register();
  return { peer, session, placed };
}

/** What {@link startPeer} has at each tensor. */
function bytesAt(placed: Placed, fill: string): ReadonlyMap<string, Buffer> {
  const start = Object.values(placed).reduce((least, [address]) => (BigInt(address) < least ? BigInt(address) : least), 2n ** 64n);
  const all = pattern(fill, 5_000_000);
  return new Map(
    Object.entries(placed).map(([name, [address, bytes]]) => {
      const offset = Number(BigInt(address) - start);
      return [name, all.subarray(offset, offset + bytes)];
    }),
  );
}

function tensorsOf(placed: Placed): SessionTensor[] {
  return Object.entries(placed).map(([name, [address, bytes]]) => ({ name, address: BigInt(address), bytes: BigInt(bytes) }));
}

/** The answer of an SGLang server; addresses are written as they are, beyond what a double holds. */
function answerOf(session: string, tensors: readonly SessionTensor[], rank = 0): string {
  const members = tensors.map(({ name, address, bytes }) => `${JSON.stringify(name)}:[${String(address)},${String(bytes)},1]`);
  return `{"rank":${String(rank)},"remote_instance_transfer_engine_info":["${session}",{${members.join()}}]}`;
}

/** An SGLang server that gives these answers in turn, and the last one ever after; `''` is a rank that is not known yet. */
async function sglangServer(context: TestContext, ...answers: readonly string[]): Promise<{ readonly url: string; asked: () => number }> {
  let asked = 0;
  const answer: RequestListener = (_request, response) => {
    const text = answers[Math.min(asked++, answers.length - 1)] ?? '';
    if (text !== '') response.end(text);
    else response.writeHead(400).end('{"error":{"message":"Failed to get transfer engine info for rank 0"}}');
  };
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://${host}:${String((server.address() as AddressInfo).port)}`, asked: () => asked };
}

type Asked = Omit<SglangPullOptions, 'into'> | Omit<SessionPullOptions, 'into'>;

/** Pulls into memory and compares every byte. */
async function pullEqual(options: Asked, expected: ReadonlyMap<string, Uint8Array>): Promise<PullResult> {
  const result = await pull({ ...options, into: { kind: 'memory' } });
  assert.ok(result.output.kind === 'memory');
  using region = result.output.region;
  assert.deepEqual(new Set(result.output.tensors.map(({ name }) => name)), new Set(expected.keys()));
  for (const { name, offset, bytes } of result.output.tensors) {
    assert.ok(Buffer.from(expected.get(name) ?? []).equals(region.view(offset, Number(bytes))), `${name} differs`);
  }
  return result;
}

for (const version of new Set([versions[0], versions.at(-1)].filter((known) => known !== undefined))) {
  describe(`from Mooncake ${version}`, { skip: whySkip(version) }, () => {
    test('by its session and by SGLang, into memory and as flat files', async (context) => {
      const { session, placed } = await startPeer(version, filled);
      const expected = bytesAt(placed, filled);

      const bySession = await pullEqual({ ...local, session: { id: session, tensors: tensorsOf(placed) } }, expected);
      assert.deepEqual(bySession.origin, { kind: 'session', id: session });
      const { sourceId, workerId, rank, selector, attempts, verified, peer } = bySession;
      assert.deepEqual(
        { sourceId, workerId, rank, selector, attempts },
        { sourceId: '', workerId: '', rank: 0, selector: '', attempts: [] },
      );
      assert.deepEqual([verified, peer], [undefined, session]);
      assert.ok(bySession.notes.includes('nothing was verified: the seed publishes no checksums'));
      assert.equal(
        (await pullEqual({ ...local, verify: 'twice', session: { id: session, tensors: tensorsOf(placed) } }, expected)).verified?.tensors,
        sizes.length,
      );

      const { url } = await sglangServer(context, answerOf(session, tensorsOf(placed), 3));
      const bySglang = await pullEqual({ ...local, sglang: url, rank: 3 }, expected);
      assert.deepEqual([bySglang.origin, bySglang.rank], [{ kind: 'sglang', url }, 3]);

      const path = join(await temporaryFolder(), 'out');
      const { code, stdout, stderr } = await runCli([
        'pull',
        '--from-sglang',
        url,
        '--rank',
        '3',
        '--out',
        path,
        '--transport',
        'tcp',
        '--host',
        host,
      ]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`^source +rank 3 of SGLang at ${url}, session ${session}$`, 'm'));
      assert.doesNotMatch(stdout, /^chosen/m);
      assert.match(stdout, /note: the seed does not publish shapes: 4 tensor\(s\) were written flat/);
      assert.deepEqual(await readdir(path), ['model.safetensors']);
      const file = join(path, 'model.safetensors');
      const { tensors, dataOffset } = await readHeader(file);
      const content = await readFile(file);
      for (const { name, dtype, shape, offset, bytes } of tensors) {
        assert.deepEqual([dtype, shape], ['U8', [Number(bytes)]]);
        const start = Number(dataOffset + offset);
        assert.ok(content.subarray(start, start + Number(bytes)).equals(expected.get(name) ?? Buffer.of(0)), name);
      }
    });

    test('tensors that are one, or lie one over the other, arrive each for itself', async () => {
      const { session, placed } = await startPeer(version, filled);
      const [first] = tensorsOf(placed);
      assert.ok(first);
      const bytes = bytesAt(placed, filled).get(first.name) ?? Buffer.of();
      const tensors = [first, { ...first, name: 'alias' }, { name: 'view', address: first.address + 1000n, bytes: 5000n }];
      const expected = new Map([
        [first.name, bytes],
        ['alias', bytes],
        ['view', bytes.subarray(1000, 6000)],
      ]);
      await pullEqual({ ...local, session: { id: session, tensors } }, expected);
    });
  });
}

const [newest = ''] = versions;

describe('a peer that was started again at the same port', { skip: whySkip(newest) }, () => {
  test('is asked anew by SGLang; a session that the caller gave is lost', async (context) => {
    const before = await startPeer(newest, 'before');
    const port = Number(before.session.split(':')[1]);
    await before.peer.kill();
    // The engine takes two ports of the range, in whichever order.
    const range = { MC_MIN_RPC_PORT: String(port), MC_MAX_RPC_PORT: String(port + 1) };
    let now = await startPeer(newest, 'now', range);
    for (let tries = 0; now.session !== before.session && tries < 30; tries++) {
      await now.peer.kill();
      now = await startPeer(newest, 'now', range);
    }
    assert.equal(now.session, before.session);

    const stale = answerOf(before.session, tensorsOf(before.placed));
    const { url, asked } = await sglangServer(context, stale, answerOf(now.session, tensorsOf(now.placed)));
    const result = await pullEqual({ ...local, sglang: url }, bytesAt(now.placed, 'now'));
    assert.match(result.notes[0] ?? '', /^the source changed, and was asked and read anew: /);
    assert.equal(asked(), 4, 'stale, whether it changed, anew, whether it changed');

    const stubborn = await sglangServer(context, stale);
    await assert.rejects(async () => pull({ ...local, sglang: stubborn.url, into: { kind: 'discard' } }), { code: 'ERR_PROTOCOL' });
    const session = { id: before.session, tensors: tensorsOf(before.placed) };
    await assert.rejects(async () => pull({ ...local, session, into: { kind: 'discard' } }), { code: 'ERR_PROTOCOL' });
  });
});

/** A seed of ours that answers as SGLang does, and where its tensors are. */
async function ownSeed(context: TestContext, start: () => Promise<Seed>): Promise<{ readonly seed: Seed; readonly url: string }> {
  const seed = await start();
  context.after(() => seed.close());
  const url = seed.summary.sglang?.url;
  assert.ok(url !== undefined && url !== '');
  return { seed, url };
}

const offered = { ...local, identity: { modelName: 'org/origins' }, sglang: { port: 0 } };

function seedOf(context: TestContext, tensors: SeedTensor[]): ReturnType<typeof ownSeed> {
  return ownSeed(context, () => seedTensors(tensors, offered));
}

/** As its HTTP port tells it. */
async function answered(url: string): Promise<string> {
  return (await fetch(`${url}/remote_instance_transfer_engine_info?rank=0`)).text();
}

describe('a source that changes while it is read', () => {
  test('is read again; one that does not rest is an error, and nothing is left', async (context) => {
    const tensors = byteTensors([10_000, 20_000]);
    const { url } = await seedOf(context, tensors);
    const other = byteTensors([10_000, 20_000]);
    for (const { data } of other) data.fill(7);
    const second = await seedOf(context, other);
    const [first, then] = [await answered(url), await answered(second.url)];

    // Bytes of the first seed came, whole and right; but the server says by now that the weights are elsewhere.
    const moved = await sglangServer(context, first, then);
    const expected = new Map(other.map(({ name, data }) => [name, data]));
    const result = await pullEqual({ ...local, sglang: moved.url }, expected);
    assert.match(result.notes[0] ?? '', /asked and read anew: .* changed while it was read/);

    const restless = await sglangServer(context, first, then, first, then);
    const folder = await temporaryFolder();
    const into = { kind: 'directory', path: join(folder, 'out') } as const;
    await assert.rejects(async () => pull({ ...local, sglang: restless.url, into }), {
      code: 'ERR_SOURCE_GONE',
      message: /changed while it was read.*\nit was asked anew since it had changed: .*changed while it was read/,
    });
    assert.deepEqual(await readdir(folder), []);
  });
});

describe('an SGLang server that is not there yet', () => {
  test('is waited for: until it listens, knows the rank, and has weights', async (context) => {
    const tensors = byteTensors([1000]);
    const { url } = await seedOf(context, tensors);
    const nothing = '{"rank":0,"remote_instance_transfer_engine_info":null}';
    const starting = await sglangServer(context, '', nothing, '', await answered(url));
    const expected = new Map(tensors.map(({ name, data }) => [name, data]));
    await pullEqual({ ...local, sglang: starting.url, waitMs: 60_000 }, expected);
    assert.equal(starting.asked(), 5, 'the last time to confirm what was read');
  });

  test('is an error that says what is missing when the time is up, and the wait can be aborted', async (context) => {
    const { url } = await sglangServer(context, '');
    const into = { kind: 'discard' } as const;
    await assert.rejects(async () => pull({ ...local, sglang: url, waitMs: 300, into }), { code: 'ERR_RANK_NOT_FOUND' });
    const abort = new AbortController();
    const waiting = pull({ ...local, sglang: url, waitMs: 60_000, into, signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    await assert.rejects(async () => waiting, { code: 'ERR_ABORTED' });
    const { code, stderr } = await runCli(['pull', '--from-sglang', url, '--discard', '--host', host]);
    assert.equal(code, 3, stderr);
    assert.match(stderr, /ERR_RANK_NOT_FOUND: .*does not know rank 0/);
  });
});

describe('with a checkpoint to be like', () => {
  const specs = [
    { name: 'embed.weight', dtype: 'BF16', shape: [64, 33] },
    { name: 'scale', dtype: 'F32', shape: [] },
    { name: 'none', dtype: 'I64', shape: [0, 5] },
    { name: 'head.weight', dtype: 'F8_E4M3', shape: [33, 7] },
  ] as const;

  test('a pulled directory is the checkpoint, file by file', async (context) => {
    const folder = await temporaryFolder();
    const [served, like, out] = ['served', 'like', 'out'].map((name) => join(folder, name));
    assert.ok(served !== undefined && like !== undefined && out !== undefined);
    await generateModel(served, specs, { maxFileBytes: 1000 });
    // Other bytes under the same headers: what arrives is the source's.
    await generateModel(like, specs, { maxFileBytes: 1000, seed: 1 });
    const { url } = await ownSeed(context, () => seedModel(served, offered));
    const result = await pull({ ...local, sglang: url, like, into: { kind: 'directory', path: out } });
    await assertSameModel(served, out);
    assert.ok(result.notes.some((note) => note.startsWith(`the files beside the weights are those of ${like}: config.json`)));
    assert.ok(!result.notes.some((note) => note.includes('flat')));

    const cli = ['pull', '--from-sglang', url, '--like', like, '--out', join(folder, 'cli'), '--transport', 'tcp', '--host', host];
    const { code, json, stderr } = await runCli([...cli, '--json']);
    assert.equal(code, 0, stderr);
    assert.deepEqual(json[0]?.['origin'], { kind: 'sglang', url });
    await assertSameModel(served, join(folder, 'cli'));
  });

  test('tensors that it lacks are flat, and one that does not fit ends the pull before anything is written', async (context) => {
    const folder = await temporaryFolder();
    const like = join(folder, 'like');
    await generateModel(like, specs.slice(0, 2));
    const data = new Uint8Array(64 * 33 * 2).fill(5);
    const tensors = [
      { name: 'embed.weight', dtype: 'BF16', data },
      { name: 'fused.weight', dtype: 'BF16', data: data.slice(0, 10) },
    ];
    const { url } = await seedOf(context, tensors);
    const path = join(folder, 'out');
    const result = await pull({ ...local, sglang: url, like, into: { kind: 'directory', path } });
    assert.ok(result.notes.includes(`the checkpoint ${like} lacks 1 of the tensors: fused.weight`));
    assert.ok(result.notes.includes('the source lacks 1 of the tensors: scale'));
    assert.ok(result.notes.includes('the seed does not publish shapes: 1 tensor(s) were written flat'));
    assert.deepEqual(await readdir(path), ['model.safetensors']);
    const { tensors: written } = await readHeader(join(path, 'model.safetensors'));
    assert.deepEqual(Object.fromEntries(written.map(({ name, dtype, shape }) => [name, [dtype, shape]])), {
      'embed.weight': ['BF16', [64, 33]],
      'fused.weight': ['U8', [10]],
    });

    const wrong = await seedOf(context, [{ name: 'embed.weight', dtype: 'BF16', data: data.slice(2) }]);
    const into = { kind: 'directory', path: join(folder, 'wrong') } as const;
    await assert.rejects(async () => pull({ ...local, sglang: wrong.url, like, into }), {
      code: 'ERR_TENSOR_SIZE',
      message: /4222 bytes .* 4224 bytes/,
    });
    const missing = pull({ ...local, sglang: url, like: join(folder, 'nowhere'), into });
    await assert.rejects(async () => missing, { code: 'ERR_NOT_FOUND' });
    assert.deepEqual((await readdir(folder)).sort(), ['like', 'out']);
  });
});
