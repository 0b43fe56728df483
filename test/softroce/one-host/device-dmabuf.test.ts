/** The first rung of the ladder on real NICs: dma-bufs of a stand-in for the driver, imported by a stand-in around libibverbs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { native } from '#src/native.js';
import { closeRails, openRails } from '#src/rails.js';
import { device } from '../../support/softroce.js';
import { useStandins } from '../../support/standin.js';
import { deviceMemory, readBetweenDevices } from './device-reads.js';

useStandins();

test('NICs that import dma-bufs say so', async () => {
  for (const port of await native().listDevices()) assert.deepEqual([port.dmabuf, port.dmabufReason], [true, '']);
});

test('memory of accelerators is read and written through dma-bufs, by two NICs', async () => {
  const rails = await openRails({ transport: 'rdma', devices: [device(0), device(1)] });
  await readBetweenDevices(rails.nics, 'auto', 'dma-buf');
  await readBetweenDevices(rails.nics, 'dma-buf', 'dma-buf');
  await closeRails(rails);
});

test('a path that was asked for and is not there is an error, with the reason', async () => {
  const rails = await openRails({ transport: 'rdma', devices: [device(0)] });
  const region = await deviceMemory(0, () => 0);
  await assert.rejects(rails.nics[0]!.register(region, 0n, 4096n, 'remote-read', 'peer-memory'), {
    nativeCode: 'REGISTRATION',
    message: /cuda:0 on RDMA device rxe0: peer-memory: .*nvidia_peermem/,
  });
  await assert.rejects(
    rails.nics[0]!.registerAll([region], Uint32Array.of(0), BigUint64Array.of(0n), BigUint64Array.of(4096n), 'peer-memory'),
    { nativeCode: 'REGISTRATION' },
  );
  const all = await rails.nics[0]!.registerAll([region], Uint32Array.of(0), BigUint64Array.of(1n), BigUint64Array.of(4096n), 'auto');
  assert.deepEqual(all.paths, ['dma-buf']);
  await all.close();
  region.close();
  await closeRails(rails);
});
