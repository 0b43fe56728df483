import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { native, type NativeRegion, type NativeTcpServer } from '#src/native.js';
import { bytesOf, connect, faultOf, filledRegion, serve, wholeRegion } from './support.js';

const BYTES = (1n << 22n) + 777n;
const SLICE = 1 << 16;

describe('a transfer by way of staging memory', () => {
  let source: NativeRegion;
  let server: NativeTcpServer;
  before(async () => {
    source = await filledRegion(BYTES, 3);
    server = await serve(source);
  });
  after(async () => {
    await server.close();
    source.close();
  });

  async function lanes(count: number) {
    return Promise.all(Array.from({ length: count }, (_, index) => connect(server, `tcp ${index}`)));
  }

  it('brings every byte, over several lanes', async () => {
    const into = await native().allocate(BYTES, 'never');
    const staging = await native().allocate(BigInt(SLICE) * 6n, 'never');
    const outcome = await native().startTransfer({ ...wholeRegion(source, into, await lanes(2)), sliceBytes: SLICE, staging }).done;
    assert.equal(outcome.fault, undefined);
    assert.equal(outcome.bytes, BYTES);
    assert.deepEqual(bytesOf(into), bytesOf(source));
    staging.close();
    into.close();
  });

  it('computes no checksums meanwhile', async () => {
    const into = await native().allocate(BYTES, 'never');
    const staging = await native().allocate(BigInt(SLICE) * 2n, 'never');
    const options = { ...wholeRegion(source, into, await lanes(1)), sliceBytes: SLICE, staging };
    const outcome = await native().startTransfer({ ...options, checksums: { rows: Uint8Array.of(1), threads: 1 } }).done;
    assert.equal(outcome.fault, undefined);
    assert.equal(outcome.follower, undefined);
    staging.close();
    into.close();
  });

  it('keeps the staging memory until the last lane returned, and detaches its windows then', async () => {
    const into = await native().allocate(BYTES, 'never');
    const staging = await native().allocate(BigInt(SLICE) * 2n, 'never');
    const window = staging.view(0n, SLICE);
    const transfer = native().startTransfer({ ...wholeRegion(source, into, await lanes(1)), sliceBytes: SLICE, staging });
    staging.close();
    const outcome = await transfer.done;
    assert.equal(outcome.fault, undefined);
    assert.equal(window.byteLength, 0);
    assert.deepEqual(bytesOf(into), bytesOf(source));
    into.close();
  });

  it('refuses memory that it cannot use', async () => {
    const into = await native().allocate(BYTES, 'never');
    const small = await native().allocate(BigInt(SLICE) * 4n - 1n, 'never');
    const readOnly = native().adoptAddress(small.address, small.byteLength, false);
    const closed = await native().allocate(BigInt(SLICE) * 4n, 'never');
    closed.close();
    const start = async (staging: unknown) =>
      native().startTransfer({ ...wholeRegion(source, into, await lanes(2)), sliceBytes: SLICE, staging: staging as NativeRegion }).done;
    await assert.rejects(
      start(small),
      faultOf('INVALID_ARGUMENT', new RegExp(`2 lanes need two slots of ${SLICE} bytes each, ${SLICE * 4}`)),
    );
    await assert.rejects(start(readOnly), faultOf('INVALID_ARGUMENT', /writable/));
    await assert.rejects(start(into), faultOf('INVALID_ARGUMENT', /read into as well/));
    await assert.rejects(start({}), faultOf('INVALID_ARGUMENT', /NativeRegion for options.staging/));
    await assert.rejects(start(closed), faultOf('CLOSED'));
    for (const region of [into, small, readOnly]) region.close();
  });
});
