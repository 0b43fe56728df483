/** The second rung of the ladder on real NICs: a driver that exports no dma-bufs, and a peer-memory module. Stand-ins of both. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeRails, openRails } from '#src/rails.js';
import { device } from '../../support/softroce.js';
import { useStandins } from '../../support/standin.js';
import { deviceMemory, readBetweenDevices } from './device-reads.js';

useStandins({ dmabuf: 0, peermem: 1 });

test('memory of accelerators is read and written through a peer-memory module where there are no dma-bufs', async () => {
  const rails = await openRails({ transport: 'rdma', devices: [device(0)] });
  await readBetweenDevices(rails.nics, 'auto', 'peer-memory');
  await readBetweenDevices(rails.nics, 'peer-memory', 'peer-memory');
  await closeRails(rails);
});

test('a dma-buf that was asked for is an error, with the reason', async () => {
  const rails = await openRails({ transport: 'rdma', devices: [device(0)] });
  const region = await deviceMemory(0, () => 0);
  await assert.rejects(rails.nics[0]!.register(region, 0n, 4096n, 'remote-read', 'dma-buf'), {
    nativeCode: 'REGISTRATION',
    message: /cuda:0 on RDMA device rxe0: dma-buf: .*does not export dma-bufs/,
  });
  region.close();
  await closeRails(rails);
});
