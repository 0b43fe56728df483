/** What a seed lists when its tensors are many, or its devices take little at once. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { encodeDescriptor, formatAddress, peerReadLimit } from '#src/handshake/index.js';
import { silentLogger } from '#src/observe/logger.js';
import { Region } from '#src/region.js';
import type { ContentTensor, SeedContent } from '#src/seed/content.js';
import { SeedDataPlane } from '#src/seed/data-plane.js';
import { layOut } from '#src/seed/layout.js';
import { describeSegment } from '#src/seed/segment.js';
import { gidOf, NicDouble } from '../../support/nic-double.js';

const stride = 160;

/** Tensors of 96 to 127 bytes at every multiple of 160: gaps of 33 to 64. */
function spread(test: TestContext, count: number, memory: 'owned' | 'adopted' = 'owned'): Promise<SeedContent> {
  return contentIn(test, memory, count * stride, (index) => [index * stride, 96 + (index % 32)], count);
}

async function contentIn(
  test: TestContext,
  memory: 'owned' | 'adopted',
  bytes: number,
  place: (index: number) => readonly [offset: number, bytes: number],
  count: number,
): Promise<SeedContent> {
  const region = memory === 'owned' ? await Region.allocate(BigInt(bytes)) : Region.fromBuffer(new Uint8Array(bytes));
  test.after(() => {
    region.close();
  });
  const tensors = Array.from({ length: count }, (_, index): ContentTensor => {
    const [offset, length] = place(index);
    const what = { name: `t${index}`, dtype: 'U8', shape: [length], bytes: BigInt(length) };
    return { ...what, region: 0, offset: BigInt(offset), file: -1, fileOffset: 0n };
  });
  return { regions: [region], tensors, weightFiles: [], modelFiles: [], close: () => undefined };
}

function nics(count: number, maxRegionBytes?: bigint): NicDouble[] {
  return Array.from(
    { length: count },
    (_, index) => new NicDouble(`mlx5_${index}`, gidOf(index + 1), maxRegionBytes === undefined ? {} : { maxRegionBytes }),
  );
}

/** The descriptor with the longest keys that there are. */
function frameBytes(content: SeedContent, ranges: ReturnType<typeof layOut>['ranges'], devices: NicDouble[]): number {
  const buffers = ranges.map(({ region, offset, length }) => ({
    location: 'cpu:0',
    address: (content.regions[region]?.address ?? 0n) + offset,
    length,
    remoteKeys: devices.map(() => 0xffff_ffff),
  }));
  const name = formatAddress('10.11.12.13', 15_000);
  return encodeDescriptor(describeSegment({ name, nics: devices, buffers, tcpDataPort: 16_000 })).frameBytes;
}

for (const [devices, few, many] of [
  [0, 12_000, 20_000],
  [1, 9_000, 20_000],
  [8, 4_000, 9_000],
] as const) {
  test(`over ${devices} devices: exact ranges while peers read them, merged over the smallest gaps where not`, async (context) => {
    const rails = nics(devices);
    const small = await spread(context, few);
    const exact = layOut(small, rails, '10.11.12.13');
    assert.deepEqual([exact.ranges.length, exact.note], [few, '']);
    assert.ok(frameBytes(small, exact.ranges, rails) <= peerReadLimit);

    const content = await spread(context, many);
    assert.ok(frameBytes(content, layOut(small, rails, '').ranges, rails) < peerReadLimit);
    const { ranges, note } = layOut(content, rails, '10.11.12.13');
    const bytes = frameBytes(content, ranges, rails);
    assert.ok(bytes <= peerReadLimit, `${bytes}`);
    assert.ok(bytes > peerReadLimit * 0.98, `${bytes}: no more is given away than needed`);
    const covered = ranges.reduce((sum, range) => sum + range.length, 0n);
    const weights = content.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0n);
    const numbers = new RegExp(`^${many} ranges .* merged to ${ranges.length} ranges, with ${covered - weights} bytes between`);
    assert.match(note, numbers);
    assert.match(note, /at most (3[3-9]|[45]\d|6[0-4]) in one place$/);
    // Both are in the order of their offsets.
    let at = 0;
    for (const tensor of content.tensors) {
      while (tensor.offset >= ranges[at]!.offset + ranges[at]!.length) at++;
      assert.ok(ranges[at]!.offset <= tensor.offset && tensor.offset + tensor.bytes <= ranges[at]!.offset + ranges[at]!.length);
    }
  });
}

test('memory that is not the seed’s own is not given away between its tensors; the warning says what to set', async (context) => {
  const content = await spread(context, 20_000, 'adopted');
  const { ranges, note } = layOut(content, [], '127.0.0.1');
  assert.deepEqual([ranges.length, note], [20_000, '']);
  const plane = await SeedDataPlane.open({
    ...{ host: '127.0.0.1', nics: [], content, ranges, registered: undefined, tcp: true, local: false, logger: silentLogger },
  });
  context.after(() => plane.close());
  assert.equal(plane.notes.length, 1);
  assert.match(
    plane.notes[0] ?? '',
    /^the segment descriptor has 1\d{6} bytes for 20000 buffers, and Mooncake peers fail to read more than 1048576 by default: set MC_HANDSHAKE_MAX_LENGTH=2097152 for them \(Mooncake 0\.3\.9 and later\)/,
  );
});

test('a device that registers little at once gets more ranges, cut between tensors; merging keeps to that', async (context) => {
  const packed = await contentIn(context, 'owned', 100_000, (index) => [index * 100, 100], 1000);
  assert.equal(layOut(packed, nics(2), '127.0.0.1').ranges.length, 1);
  const { ranges } = layOut(packed, [...nics(1), ...nics(1, 1050n)], '127.0.0.1');
  assert.equal(ranges.length, 100);
  assert.ok(ranges.every(({ length }) => length === 1000n));
  assert.throws(() => layOut(packed, nics(1, 99n), '127.0.0.1'), { code: 'ERR_REGISTRATION', tensor: 't0' });
  assert.equal(layOut(packed, [], '127.0.0.1').ranges.length, 1, 'TCP knows no such limit');

  const content = await spread(context, 20_000);
  const merged = layOut(content, nics(1, 1000n), '127.0.0.1');
  assert.ok(merged.ranges.length < 20_000);
  assert.ok(merged.ranges.every(({ length }) => length <= 1000n));
});
