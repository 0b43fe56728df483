import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { native } from '#src/native.js';
import { faultOf, runChild } from './support.js';

const skip = existsSync('/sys/class/infiniband') ? 'this machine has an RDMA stack; test/softroce covers it' : false;

describe('without RDMA', () => {
  it('functions of RDMA reject with the reason, and all else works', { skip }, async () => {
    const { path, reason } = native().rdmaLibrary();
    assert.equal(path === '', reason !== '');
    await assert.rejects(native().listDevices(), faultOf('RDMA_UNAVAILABLE', /RDMA|libibverbs/));
    await assert.rejects(native().openNic('mlx5_0', 1, undefined), faultOf('RDMA_UNAVAILABLE'));
    const limits = native().limits();
    assert.ok(limits.memlockSoft === undefined || limits.memlockSoft >= 0n);
    assert.match(native().memlockAdvice(1n << 40n), /memlock/i);
  });

  it('a library that is missing is named', async () => {
    const { code, stdout, stderr } = await runChild(`
      process.env.WEIGHTCAST_IBVERBS_LIB = '/nowhere/libibverbs.so.1';
      const { native } = await import('#src/native.js');
      const { path, reason } = native().rdmaLibrary();
      console.log(path === '', reason.includes('/nowhere/libibverbs.so.1'));
      await native().listDevices().catch((fault) => console.log(fault.nativeCode));`);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, 'true true\nRDMA_UNAVAILABLE\n');
  });

  it('wrong arguments are refused before the library is asked', async () => {
    await assert.rejects(native().openNic('mlx5_0', 0, undefined), faultOf('INVALID_ARGUMENT', /port/));
    await assert.rejects(native().openNic('mlx5_0', 1, 256), faultOf('INVALID_ARGUMENT', /gidIndex/));
    await assert.rejects(native().openNic(7 as never, 1, 0), faultOf('INVALID_ARGUMENT', /device/));
    assert.throws(() => native().createRdmaLane({ registrations: [] } as never), faultOf('INVALID_ARGUMENT', /options/));
  });
});
