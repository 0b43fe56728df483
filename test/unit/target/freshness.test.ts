/** When a source counts as changed, and what is made of failures then. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WeightcastError, type ErrorCode } from '#src/errors.js';
import { rdmaDescriptor, tcpDescriptor, type SegmentBuffer, type SegmentDescriptor } from '#src/handshake/index.js';
import type { Source } from '#src/target/discovery/discovery.js';
import { SourceChanged, confirm, explained, stillOffers, type ReadBy } from '#src/target/freshness.js';

const buffer = (address: bigint, length: bigint, ...remoteKeys: number[]): SegmentBuffer => ({
  location: 'cpu:0',
  address,
  length,
  remoteKeys,
  localKeys: remoteKeys,
  readable: true,
});
const name = '10.0.0.5:15000';
const rdma = (...buffers: SegmentBuffer[]): SegmentDescriptor => ({ ...rdmaDescriptor({ name, devices: [] }), buffers });
const tcp = (port: number, ...buffers: SegmentBuffer[]): SegmentDescriptor => ({ ...tcpDescriptor({ name }), tcpDataPort: port, buffers });

const before = rdma(buffer(4096n, 100n, 7, 8), buffer(8192n, 1n, 9, 10));

describe('a descriptor', () => {
  it('still offers what it did when more came to it, in any order', () => {
    assert.ok(stillOffers(before, before));
    assert.ok(stillOffers(rdma(buffer(1n, 1n, 1, 1), ...before.buffers.toReversed()), before));
  });

  it('does not when a key, a length, an address, the transport or its port is another', () => {
    assert.ok(!stillOffers(rdma(buffer(4096n, 100n, 7, 11), buffer(8192n, 1n, 9, 10)), before));
    assert.ok(!stillOffers(rdma(buffer(4096n, 99n, 7, 8), buffer(8192n, 1n, 9, 10)), before));
    assert.ok(!stillOffers(rdma(buffer(4096n, 100n, 7, 8)), before));
    assert.ok(!stillOffers(rdma(), before));
    const over = tcp(16_000, buffer(4096n, 100n));
    assert.ok(stillOffers(over, over));
    assert.ok(!stillOffers(tcp(16_001, buffer(4096n, 100n)), over));
    assert.ok(!stillOffers(before, over));
  });

  it('does not when its local socket is another or gone; one that came since does not matter', () => {
    const at = (socket: string | undefined): SegmentDescriptor => ({
      ...before,
      weightcast: { version: 1, local: socket === undefined ? undefined : { name: socket, token: '0'.repeat(64) } },
    });
    assert.ok(stillOffers(at('weightcast-1'), at('weightcast-1')));
    assert.ok(!stillOffers(at('weightcast-2'), at('weightcast-1')));
    assert.ok(!stillOffers(at(undefined), at('weightcast-1')));
    assert.ok(!stillOffers(before, at('weightcast-1')));
    assert.ok(stillOffers(at('weightcast-1'), before));
  });
});

interface Answers {
  readonly unchanged?: boolean | Error;
  readonly now?: SegmentDescriptor | Error;
}

function readBy({ unchanged = true, now = before }: Answers, descriptor: SegmentDescriptor | undefined = before): ReadBy {
  const orThrow = <T>(value: T | Error): Promise<T> => (value instanceof Error ? Promise.reject(value) : Promise.resolve(value));
  const source = { peer: name, unchanged: () => orThrow(unchanged) } as unknown as Source;
  return { source, descriptor, fetch: () => orThrow(now) };
}

const gone = new WeightcastError('ERR_PEER_LOST', 'refused');

describe('what nothing vouches for', () => {
  it('is confirmed when the source says the same', async () => {
    await confirm(readBy({}), 0, undefined);
  });

  it('is not when it moved, or has other keys', async () => {
    for (const answers of [{ unchanged: false }, { now: rdma() }]) {
      await assert.rejects(confirm(readBy(answers), 0, undefined), (error) => {
        assert.ok(error instanceof SourceChanged);
        assert.equal(error.failure.code, 'ERR_SOURCE_GONE');
        assert.match(error.failure.message, /10\.0\.0\.5:15000 changed while it was read/);
        return true;
      });
    }
  });

  it('is not when connections were replaced, whatever it says now', async () => {
    await assert.rejects(confirm(readBy({}), 2, undefined), (error) => {
      assert.ok(error instanceof SourceChanged);
      assert.match(error.failure.message, /changed while it was read: it ended 2 connection\(s\) in between/);
      return true;
    });
  });

  it('is not when nobody can be asked', async () => {
    for (const answers of [{ unchanged: gone }, { now: gone }]) {
      await assert.rejects(confirm(readBy(answers), 0, undefined), { code: 'ERR_SOURCE_GONE', message: /nothing vouches .*refused/ });
    }
    await assert.rejects(confirm(readBy({ now: new WeightcastError('ERR_ABORTED', 'stop') }), 0, undefined), { code: 'ERR_ABORTED' });
  });
});

describe('a failure', () => {
  const failure = (code: ErrorCode): WeightcastError => new WeightcastError(code, code);

  for (const code of ['ERR_REMOTE_ACCESS', 'ERR_PROTOCOL', 'ERR_HANDSHAKE', 'ERR_PEER_LOST'] as const) {
    it(`${code} comes from a change when there was one, and is itself otherwise`, async () => {
      const error = failure(code);
      assert.equal(await explained(error, readBy({}), undefined), error);
      assert.equal(await explained(error, readBy({ unchanged: gone }), undefined), error);
      assert.equal(await explained(error, readBy({ now: gone }), undefined), error);
      for (const answers of [{ unchanged: false }, { now: rdma() }]) {
        const changed = await explained(error, readBy(answers), undefined);
        assert.ok(changed instanceof SourceChanged);
        assert.equal(changed.failure, error);
      }
    });
  }

  it('before there was a descriptor is of a source that says something else, or itself', async () => {
    const error = failure('ERR_PEER_LOST');
    const bare = (unchanged: boolean): ReadBy => ({ ...readBy({ unchanged, now: gone }), descriptor: undefined });
    assert.equal(await explained(error, bare(true), undefined), error);
    assert.ok((await explained(error, bare(false), undefined)) instanceof SourceChanged);
  });

  it('of another kind is not asked about', async () => {
    for (const error of [failure('ERR_STALLED'), failure('ERR_DISK_FULL'), failure('ERR_ABORTED'), new Error('ours')]) {
      assert.equal(await explained(error, readBy({ unchanged: false }), undefined), error);
    }
  });
});
