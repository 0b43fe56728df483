import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { access, chmod, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { mxSourceId } from '#src/identity/index.js';
import { formatKey } from '#src/metadata/stores/durable/format.js';
import { openDurableStore } from '#src/metadata/stores/durable/index.js';
import { decodeKey, encodeKey } from '#src/metadata/stores/durable/keys.js';
import { openLevel } from '#src/metadata/stores/durable/level.js';
import type { MetadataStore, WorkerListing } from '#src/metadata/stores/store.js';
import type { Logger } from '#src/observe/logger.js';
import { callsOn, Peer } from '../../support/p2p-calls.js';
import { type Line, PublishingChild } from '../../support/publishing-process.js';
import { storeConformance } from '../../support/store-conformance.js';
import { identity, publish, READY, STALE, tensors, unknownStatuses, withParameters } from './support.js';

async function temporary(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'weightcast-durable-'));
}

async function folderOf(test: TestContext): Promise<string> {
  const folder = await temporary();
  test.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

storeConformance('durable', async () => {
  const folder = await temporary();
  const open = () => openDurableStore({ folder });
  const stores = [await open()];
  const closeAll = () => Promise.all(stores.map((store) => store.close()));
  return {
    store: stores[0]!,
    reopen: async () => {
      await closeAll();
      const again = await open();
      stores.push(again);
      return again;
    },
    close: async () => {
      await closeAll();
      await rm(folder, { recursive: true, force: true });
    },
  };
});

/** Opens the folder as LevelDB has it. */
async function tamper(folder: string, change: (level: ClassicLevel<Buffer, Buffer>) => Promise<void>): Promise<void> {
  const level = new ClassicLevel<Buffer, Buffer>(folder, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
  await change(level);
  await level.close();
}

function warnings(): Logger & { readonly said: string[] } {
  const said: string[] = [];
  const silent = (): void => undefined;
  const warn = (message: string, fields?: object): void => void said.push(`${message} ${JSON.stringify(fields)}`);
  return { said, debug: silent, info: silent, warn, error: silent };
}

/** What was acknowledged must be there. */
async function assertKept(test: TestContext, folder: string, said: readonly Line[]): Promise<void> {
  const store = await openDurableStore({ folder });
  test.after(() => store.close());
  const peer = new Peer(callsOn(store));
  const id = mxSourceId(identity);
  for (const { verb, workerId } of said) {
    if (verb !== 'published' && verb !== 'ready') continue;
    const { worker } = await peer.get(id, workerId);
    assert.deepEqual(worker?.tensors, tensors(50), `${workerId} was acknowledged`);
    if (verb === 'ready') assert.equal(worker.status, READY, workerId);
  }
}

describe('the durable store', () => {
  it('keeps every publication and status that a killed process had acknowledged', async (test) => {
    const folder = await folderOf(test);
    const said: Line[] = [];
    for (const prefix of ['first', 'second', 'third']) {
      const child = new PublishingChild(test, folder, prefix);
      // In the middle of publications.
      await child.lines(() => true, 100);
      await child.kill();
      said.push(...child.said);
    }
    await assertKept(test, folder, said);
  });

  it('follows memory in whatever order calls meet', async (test) => {
    const folder = await folderOf(test);
    const store = await openDurableStore({ folder });
    const peer = new Peer(callsOn(store));
    const id = await peer.publish('w');
    const calls: Promise<unknown>[] = [];
    for (let round = 0; round < 50; round++) {
      peer.clock.now += 1;
      calls.push(peer.publish('w', { agentName: String(round), workerRank: round % 3, status: STALE, updatedAt: peer.at() }));
      calls.push(peer.update(id, 'w', { status: READY, workerRank: (round + 1) % 3 }));
      if (round % 7 === 0) calls.push(store.removeWorker(id, 'w'));
      if (round % 5 === 0) await Promise.race(calls);
    }
    await Promise.all(calls);
    const before = { list: await store.list(), get: await peer.get(id, 'w') };
    await store.close();
    const again = await openDurableStore({ folder });
    test.after(() => again.close());
    assert.deepEqual({ list: await again.list(), get: await new Peer(callsOn(again)).get(id, 'w') }, before);
  });

  it('leaves out what is damaged, says how much, and keeps the rest', async (test) => {
    const folder = await folderOf(test);
    const store = await openDurableStore({ folder });
    const id = await publish(store, 'good', { agentName: 'good', status: READY, updatedAt: 5n });
    for (const workerId of ['flipped', 'short', 'live', 'later']) await publish(store, workerId, { status: READY, updatedAt: 5n });
    const other = await publish(store, 'orphan', {}, { ...identity, dtype: 'fp8' });
    await store.close();
    const key = (kind: 'record' | 'live', workerId: string): Buffer => encodeKey({ kind, sourceId: id, workerId, rank: 0 });
    await tamper(folder, async (level) => {
      const value = (await level.get(key('record', 'flipped')))!;
      await level.put(key('record', 'flipped'), value.fill(0x55, 8, 12));
      await level.put(key('record', 'short'), Buffer.from([1, 2]));
      await level.put(key('live', 'live'), Buffer.alloc(40, 1));
      await level.put(key('record', 'later'), Buffer.from([9, 0, 0, 0, 0]));
      await level.del(encodeKey({ kind: 'source', sourceId: other }));
      await level.put(Buffer.from('w\0\0'), Buffer.alloc(3));
      await level.put(Buffer.from('zebra'), Buffer.from('of a later version'));
    });
    const logger = warnings();
    const again = await openDurableStore({ folder, logger });
    const peer = new Peer(callsOn(again));
    assert.deepEqual((await peer.ids()).sort(), ['good', 'live']);
    assert.equal((await peer.get(id, 'good')).worker?.agentName, 'good');
    // Without its live status a record has the one that it was published with.
    assert.equal((await peer.get(id, 'live')).worker?.status, READY);
    assert.equal(logger.said.length, 6, logger.said.join('\n'));
    await peer.publish('flipped', { agentName: 'again' });
    await again.close();
    const third = await openDurableStore({ folder });
    test.after(() => third.close());
    assert.equal((await new Peer(callsOn(third)).get(id, 'flipped')).worker?.agentName, 'again');
  });

  it('says that another process uses its folder', async (test) => {
    const folder = await folderOf(test);
    const store = await openDurableStore({ folder });
    await assert.rejects(openDurableStore({ folder }), { code: 'ERR_STORE', file: folder, message: /another process uses it/ });
    await store.close();
    await (await openDurableStore({ folder })).close();
  });

  it('says that its folder is none', async (test) => {
    const folder = await folderOf(test);
    const file = join(folder, 'file');
    await writeFile(file, '');
    await assert.rejects(openDurableStore({ folder: file }), { code: 'ERR_STORE', message: /cannot open the durable store in .*file/ });
    await assert.rejects(openDurableStore({ folder: join(file, 'below') }), { code: 'ERR_STORE' });
    if (process.getuid?.() === 0) return; // to root every folder is writable
    await chmod(folder, 0o500);
    await assert.rejects(openDurableStore({ folder }), { code: 'ERR_STORE', message: /may create and write/ });
  });

  it('says that its folder is damaged as a whole', async (test) => {
    const folder = await folderOf(test);
    const store = await openDurableStore({ folder });
    await publish(store, 'w');
    await store.close();
    for (const name of await readdir(folder)) if (name.startsWith('MANIFEST')) await truncate(join(folder, name), 5);
    await assert.rejects(openDurableStore({ folder }), { code: 'ERR_STORE', message: /move it away|may create and write/ });
  });

  it('refuses a folder of a later release, and one of another program, and leaves them as they are', async (test) => {
    const folder = await folderOf(test);
    const store = await openDurableStore({ folder });
    await publish(store, 'w');
    await store.close();
    await tamper(folder, (level) => level.put(formatKey, Buffer.from('2')));
    await assert.rejects(openDurableStore({ folder }), { code: 'ERR_STORE', message: /has format 2, this release reads format 1/ });
    // Damage to this entry alone must not cost all others.
    await tamper(folder, (level) => level.put(formatKey, Buffer.from('\xff')));
    const logger = warnings();
    const again = await openDurableStore({ folder, logger });
    assert.equal((await again.list()).length, 1);
    assert.match(logger.said.join(), /^the format of the durable store is damaged/);
    await again.close();
    await tamper(folder, (level) => level.del(formatKey));
    await assert.rejects(openDurableStore({ folder }), { code: 'ERR_STORE', message: /database of another program/ });
    await tamper(folder, async (level) => assert.equal(await level.get(formatKey), undefined));
  });

  it('says that its package is missing, and what to do', async (test) => {
    const folder = join(await folderOf(test), 'none');
    const missing = (): Promise<never> => Promise.reject(new Error("Cannot find package 'classic-level'"));
    await assert.rejects(openLevel(folder, missing), { code: 'ERR_STORE', message: /npm install classic-level/ });
    await assert.rejects(access(folder), { code: 'ENOENT' });
  });

  it('keeps every kind of record as it is in memory', async (test) => {
    const folder = await folderOf(test);
    const store = await openDurableStore({ folder });
    const artifact = { artifactId: 'a', totalSize: (1n << 60n) + 1n, fileCount: 3, chunkCount: 4, nodeRank: 5 };
    const parameters = { training_step: '18446744073709551615', layout_signature: 'sig', other: 'ü' };
    const fields = { updatedAt: (1n << 62n) + 1n, agentName: 'agent', accelerator: 'cuda', topology: { rack: 'r', '': '' } };
    const ids = [
      await publish(store, 'tensors', { ...fields, tensors: tensors(3), workerRank: 4_294_967_295 }),
      await publish(store, 'none', {}, withParameters(parameters)),
      await publish(store, 'artifact', { sourcePayload: { $case: 'artifactSource', value: artifact }, status: unknownStatuses(77)[0]! }),
      await publish(store, 'a\0b 🚀', { backendMetadata: { $case: 'nixlMetadata', value: Buffer.from([0, 255]) }, updatedAt: -1n }),
      await publish(store, 'x', { tensors: tensors(1), backendMetadata: { $case: 'transferEngineSessionId', value: 'session' } }),
    ];
    for (const rank of [2, 0, 1]) await publish(store, 'ranks', { workerRank: rank, updatedAt: BigInt(rank) });
    await store.updateStatus(ids[0]!, 'ranks', 0, { status: STALE, updatedAt: 9n, sourceLoad: 0.25 });
    await store.updateStatus(ids[0]!, 'tensors', 4_294_967_295, { status: READY, updatedAt: 1n << 60n, sourceLoad: 0 });
    const everything = async (of: MetadataStore): Promise<object> => {
      const listings = (await of.list()).map((listing) => ({ ...listing, statuses: [...listing.statuses].sort() }));
      const records = await Promise.all(
        listings.map(async ({ sourceId, workerId }) => {
          const found = await of.get(sourceId, workerId);
          // An unknown load may be absent or undefined.
          return { ...found, worker: { sourceLoad: undefined, ...found?.worker } };
        }),
      );
      const name = ({ sourceId, workerId }: WorkerListing): string => `${sourceId} ${workerId}`;
      return Object.fromEntries(listings.map((listing, index) => [name(listing), { listing, record: records[index] }]));
    };
    const before = await everything(store);
    assert.equal(Object.keys(before).length, 6);
    await store.close();
    const again = await openDurableStore({ folder });
    test.after(() => again.close());
    assert.deepEqual(await everything(again), before);
  });

  it('does not write a record again for a heartbeat', async (test) => {
    const folder = await folderOf(test);
    const store = await openDurableStore({ folder });
    const id = await publish(store, 'w', { tensors: tensors(20_000) });
    const size = async (): Promise<number> => {
      const files = await readdir(folder);
      const sizes = await Promise.all(files.filter((name) => /\.(log|ldb)$/.test(name)).map((name) => stat(join(folder, name))));
      return sizes.reduce((sum, file) => sum + file.size, 0);
    };
    const before = await size();
    assert.ok(before > 500_000);
    for (let beat = 1; beat <= 100; beat++) await store.updateStatus(id, 'w', 0, { status: READY, updatedAt: BigInt(beat) });
    assert.ok((await size()) - before < 20_000);
    await store.close();
  });

  it('lives through a full disk: says so, shows nothing that failed, and loses nothing that it took before and after', async (test) => {
    const folder = await folderOf(test);
    const child = new PublishingChild(test, folder, 'w');
    await child.lines(({ verb }) => verb === 'published', 30);
    // Writes fail as they do on a full disk, only with another reason.
    const limit = (bytes: string): void => void execFileSync('prlimit', ['--pid', String(child.pid), `--fsize=${bytes}:`]);
    limit('0');
    await child.lines(({ verb }) => verb === 'failed', 30);
    limit('unlimited');
    await child.lines(({ verb }) => verb === 'published', 100);
    await child.kill();
    assert.deepEqual(
      child.said.filter(({ verb }) => !['published', 'ready', 'not-ready', 'failed', 'failing', 'works'].includes(verb)),
      [],
    );
    const check = child.said.map(({ verb }) => verb).filter((verb) => verb === 'failing' || verb === 'works');
    assert.ok(check.includes('failing'), 'check() says that the disk fails');
    assert.equal(check.at(-1), 'works');
    await assertKept(test, folder, child.said);
  });

  it('refuses to change anything once it is closed', async (test) => {
    const store = await openDurableStore({ folder: await folderOf(test) });
    await store.close();
    await store.close();
    await assert.rejects(store.check(), { code: 'ERR_CLOSED' });
    await assert.rejects(publish(store, 'w'), { code: 'ERR_CLOSED' });
    await assert.rejects(store.updateStatus('s', 'w', 0, { status: READY, updatedAt: 1n }), { code: 'ERR_CLOSED' });
    await assert.rejects(store.removeWorker('s', 'w'), { code: 'ERR_CLOSED' });
  });
});

describe('keys of the durable store', () => {
  it('come back as they went, whatever the ids', () => {
    const workers = ['w', '', '0', 'a\0b', 'größe 🚀', 'x'.repeat(300)];
    const keys = workers.flatMap((workerId) => [
      { kind: 'record', sourceId: 's', workerId, rank: 4_294_967_295 } as const,
      { kind: 'live', sourceId: 'sw', workerId, rank: 0 } as const,
      { kind: 'representative', sourceId: '', workerId } as const,
      { kind: 'source', sourceId: workerId } as const,
    ]);
    for (const key of keys) assert.deepEqual(decodeKey(encodeKey(key)), key);
    assert.equal(new Set(keys.map((key) => encodeKey(key).toString('hex'))).size, keys.length);
    assert.equal(decodeKey(Buffer.from('?')), undefined);
    assert.throws(() => decodeKey(Buffer.from('s\0\0\0\x09ab')), RangeError);
  });
});
