import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ClassicLevel } from 'classic-level';
import { mxSourceId } from '#src/identity/index.js';
import { openDurableStore } from '#src/metadata/stores/durable/index.js';
import { decodeKey, encodeKey } from '#src/metadata/stores/durable/keys.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { type Disk, Writer } from '#src/metadata/stores/durable/writer.js';
import type { Logger } from '#src/observe/logger.js';
import { callsOn, Peer } from '../../support/p2p-calls.js';
import { storeConformance } from '../../support/store-conformance.js';
import { identity, publish, READY, STALE, tensors, UNKNOWN } from './support.js';

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

describe('the durable store', () => {
  it('keeps every publication and status that a killed process had acknowledged', async (test) => {
    const folder = await folderOf(test);
    const script = fileURLToPath(new URL('../../support/publishing-child.js', import.meta.url));
    const acknowledged: [verb: string, workerId: string][] = [];
    for (const prefix of ['first', 'second', 'third']) {
      const child = spawn(process.execPath, [script, folder, prefix], { stdio: ['ignore', 'pipe', 'inherit'] });
      test.after(() => child.kill('SIGKILL'));
      const closed = once(child, 'close');
      let lines = 0;
      for await (const line of createInterface({ input: child.stdout })) {
        const [verb = '', workerId = ''] = line.split(' ');
        acknowledged.push([verb, workerId]);
        // In the middle of publications; lines that are on their way are still read.
        if (++lines === 100) child.kill('SIGKILL');
      }
      assert.deepEqual((await closed)[1], 'SIGKILL');
      assert.ok(lines >= 100);
    }
    const store = await openDurableStore({ folder });
    test.after(() => store.close());
    const peer = new Peer(callsOn(store));
    const id = mxSourceId(identity);
    for (const [verb, workerId] of acknowledged) {
      const { worker } = await peer.get(id, workerId);
      assert.deepEqual(worker?.tensors, tensors(50), `${workerId} was acknowledged`);
      if (verb === 'ready') assert.equal(worker.status, READY, workerId);
    }
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

describe('the writer of the durable store', () => {
  /** A disk that does what the test says. */
  class TestDisk implements Disk {
    readonly written = new Map<string, Buffer>();
    readonly syncs: boolean[] = [];
    full = false;
    release: (() => void) | undefined;
    held = false;

    async batch(operations: Parameters<Disk['batch']>[0], { sync }: { readonly sync: boolean }): Promise<void> {
      if (this.held) await new Promise<void>((done) => (this.release = done));
      if (this.full) throw new Error('no space left on device');
      this.syncs.push(sync);
      for (const operation of operations) {
        const key = operation.key.toString('hex');
        if (operation.type === 'put') this.written.set(key, operation.value);
        else this.written.delete(key);
      }
    }
  }

  async function setUp(): Promise<{ disk: TestDisk; memory: MemoryStore; writer: Writer; id: string }> {
    const [disk, memory] = [new TestDisk(), new MemoryStore()];
    return { disk, memory, writer: new Writer(disk, memory), id: await publish(memory, 'w') };
  }

  it('tries again what it could not write', async () => {
    const { disk, memory, writer, id } = await setUp();
    disk.full = true;
    writer.changes.note(id, 'w', 0, 'record');
    await assert.rejects(writer.written(true), /no space left/);
    assert.equal(writer.behind, true);
    disk.full = false;
    await publish(memory, 'v');
    writer.changes.note(id, 'v', 0, 'live');
    await writer.written(false);
    assert.equal(writer.behind, false);
    for (const workerId of ['w', 'v']) {
      assert.ok(disk.written.has(encodeKey({ kind: 'live', sourceId: id, workerId, rank: 0 }).toString('hex')), workerId);
    }
    assert.ok(disk.written.has(encodeKey({ kind: 'record', sourceId: id, workerId: 'w', rank: 0 }).toString('hex')));
    assert.deepEqual(disk.syncs, [true], 'the device must have what a publication noted');
  });

  it('writes together what comes while it writes', async () => {
    const { disk, memory, writer, id } = await setUp();
    disk.held = true;
    writer.changes.note(id, 'w', 0, 'record');
    const first = writer.written(true);
    await new Promise(setImmediate);
    const later = ['a', 'b', 'c'].map(async (workerId) => {
      await publish(memory, workerId, { status: UNKNOWN });
      writer.changes.note(id, workerId, 0, 'record');
      await writer.written(true);
    });
    await new Promise(setImmediate);
    disk.held = false;
    disk.release?.();
    await Promise.all([first, ...later]);
    await writer.idle();
    assert.equal(disk.syncs.length, 2);
  });
});
