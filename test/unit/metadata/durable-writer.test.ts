/** In which order disk and memory change, and what is left of a write that fails. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SourceIdentity } from '#src/gen/model_express/p2p.js';
import { sourceAttributes } from '#src/metadata/server/semantics/attributes.js';
import { decodeKey } from '#src/metadata/stores/durable/keys.js';
import { type Operation, publication, removal, statusUpdate } from '#src/metadata/stores/durable/mutations.js';
import { type Disk, Writer } from '#src/metadata/stores/durable/writer.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import type { WorkerRecord } from '#src/metadata/stores/store.js';
import { parseWorker } from '#src/metadata/wire/worker.js';
import { encodeWorkerMessage, identity, READY } from './support.js';

describe('the writer of the durable store', () => {
  /** A disk that does what the test says. */
  class TestDisk implements Disk {
    readonly written = new Map<string, Buffer>();
    readonly syncs: boolean[] = [];
    full = false;
    /** As LevelDB after a failed write: what it takes then is lost. */
    unsound = false;
    gate: Promise<void> | undefined;

    async batch(operations: Operation[], { sync }: { readonly sync: boolean }): Promise<void> {
      await this.gate;
      if (this.full) {
        this.unsound = true;
        // What fails may be on the disk nevertheless.
        this.#take(operations.slice(0, 1));
        throw new Error('no space left on device');
      }
      this.syncs.push(sync);
      if (!this.unsound) this.#take(operations);
    }

    close(): Promise<void> {
      return Promise.resolve();
    }

    open(): Promise<void> {
      this.unsound = false;
      return Promise.resolve();
    }

    #take(operations: readonly Operation[]): void {
      for (const operation of operations) {
        const key = operation.key.toString('hex');
        if (operation.type === 'put') this.written.set(key, operation.value);
        else this.written.delete(key);
      }
    }
  }

  const source = sourceAttributes(identity, Buffer.from(SourceIdentity.encode(identity).finish()));
  const record = (agentName = ''): WorkerRecord => parseWorker(encodeWorkerMessage({ agentName }));
  const id = '0123456789abcdef';

  function setUp(retryMs = 0): { disk: TestDisk; memory: MemoryStore; writer: Writer } {
    const [disk, memory] = [new TestDisk(), new MemoryStore()];
    return { disk, memory, writer: new Writer(disk, memory, retryMs) };
  }

  /** Makes writes wait until the function is called. */
  function hold(disk: TestDisk): () => void {
    let release = (): void => undefined;
    disk.gate = new Promise((done) => (release = done));
    return () => {
      release();
    };
  }

  /** What the disk has must be what would be written of memory. */
  async function assertEqualEnds(disk: TestDisk, memory: MemoryStore): Promise<void> {
    const expected = new TestDisk();
    const copy = new Writer(expected, new MemoryStore());
    for (const { sourceId, workerId, source: attributes, workerRank } of await memory.list()) {
      const ranks = memory.ranksOf(sourceId, workerId)?.ranks ?? new Map<number, WorkerRecord>();
      for (const rank of [...ranks.keys()].sort((a, b) => Number(a === workerRank) - Number(b === workerRank))) {
        await copy.submit(publication(sourceId, workerId, attributes, ranks.get(rank)!));
      }
    }
    const keys = (map: ReadonlyMap<string, Buffer>): string[] => [...map.keys()].sort();
    assert.deepEqual(keys(disk.written), keys(expected.written));
    for (const [key, value] of expected.written) {
      // A record on the disk has the status it was published with; the live one stands beside it.
      if (decodeKey(Buffer.from(key, 'hex'))?.kind !== 'record') assert.deepEqual(disk.written.get(key), value, key);
    }
  }

  it('shows nothing that is not on the disk', async () => {
    const { disk, memory, writer } = setUp();
    const release = hold(disk);
    const published = writer.submit(publication(id, 'w', source, record()));
    await new Promise(setImmediate);
    assert.equal(await memory.get(id, 'w'), undefined);
    release();
    assert.equal(await published, true);
    assert.ok(await memory.get(id, 'w'));
    await assertEqualEnds(disk, memory);
  });

  it('leaves memory as it was when a write fails, and brings the disk back to it', async () => {
    const { disk, memory, writer } = setUp();
    await writer.submit(publication(id, 'kept', source, record('kept')));
    await writer.submit(publication(id, 'gone', source, record('gone')));
    disk.full = true;
    await assert.rejects(writer.submit(publication(id, 'kept', source, record('failed'))), /no space left/);
    await assert.rejects(writer.submit(publication(id, 'new', source, record('failed'))), /no space left/);
    await assert.rejects(writer.submit(statusUpdate(id, 'kept', 0, { status: READY, updatedAt: 5n })), /no space left/);
    await assert.rejects(writer.submit(removal(id, 'gone')), /no space left/);
    await assert.rejects(writer.recover(), /no space left/);
    assert.equal(writer.faulty, true);
    assert.deepEqual(memory.ranksOf(id, 'kept')?.ranks.get(0), record('kept'));
    assert.equal(memory.ranksOf(id, 'new'), undefined);
    assert.ok(memory.ranksOf(id, 'gone'));
    disk.full = false;
    await writer.recover();
    assert.equal(writer.faulty, false);
    await assertEqualEnds(disk, memory);
    assert.equal(await writer.submit(statusUpdate(id, 'kept', 0, { status: READY, updatedAt: 5n })), true);
    assert.equal(await writer.submit(removal(id, 'gone')), true);
    await assertEqualEnds(disk, memory);
  });

  it('brings the disk in order also with the next mutation', async () => {
    const { disk, memory, writer } = setUp();
    disk.full = true;
    await assert.rejects(writer.submit(publication(id, 'failed', source, record())), /no space left/);
    disk.full = false;
    await writer.submit(publication(id, 'w', source, record()));
    assert.equal(writer.faulty, false);
    assert.equal(memory.ranksOf(id, 'failed'), undefined);
    await assertEqualEnds(disk, memory);
  });

  it('does not try a disk that fails all the time', async () => {
    const { disk, writer } = setUp(1e9);
    disk.full = true;
    await assert.rejects(writer.submit(publication(id, 'w', source, record())), /no space left/);
    disk.full = false;
    await assert.rejects(writer.submit(publication(id, 'w', source, record())), /no space left/);
    assert.deepEqual(disk.syncs, []);
  });

  it('writes together what comes while it writes, one after the other what concerns the same worker', async () => {
    const { disk, memory, writer } = setUp();
    const release = hold(disk);
    const first = writer.submit(publication(id, 'w', source, record()));
    await new Promise(setImmediate);
    const together = ['a', 'b', 'c'].map((workerId) => writer.submit(publication(id, workerId, source, record())));
    const update = writer.submit(statusUpdate(id, 'a', 0, { status: READY, updatedAt: 7n }));
    const [removed, again] = [writer.submit(removal(id, 'a', 7n)), writer.submit(removal(id, 'a'))];
    const others = ['b', 'c', 'w'].map((workerId) => writer.submit(removal(id, workerId)));
    release();
    assert.deepEqual(await Promise.all([first, ...together, update, removed]), [true, true, true, true, true, true]);
    assert.deepEqual(await Promise.all([again, ...others]), [false, true, true, true]);
    await writer.idle();
    assert.deepEqual(disk.syncs.slice(0, 3), [true, true, false], 'publications are synced, a status is not');
    assert.equal(disk.written.size, 0, 'the source goes with its last worker');
    assert.deepEqual(await memory.list(), []);
  });
});
