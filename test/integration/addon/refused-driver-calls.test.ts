/** Each function of an accelerator's driver fails in turn: what the caller is told, and what is left at the process's end. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { useStandins } from '../../support/standin.js';
import { runChild } from './support.js';

useStandins();

/** Does what Weightcast does with an accelerator's memory, step by step, and prints each step's error. */
const work = `
  import { native } from '#src/native.js';
  const errors = {};
  const step = async (name, run) => {
    try {
      return await run();
    } catch (error) {
      errors[name] = [error.nativeCode ?? error.code, error.message];
    }
  };
  const bytes = 3n << 20n;
  const source = await native().allocate(bytes, 'never');
  new Uint8Array(source.view(0n, Number(bytes))).fill(7);
  const server = await native().listenTcp('127.0.0.1', 0, 1);
  server.serve([source], BigUint64Array.of(source.address), BigUint64Array.of(bytes));
  const region = await step('allocate', () => native().allocateOnDevice('cuda', 0, bytes));
  if (region !== undefined) {
    await step('write', () => region.write(0n, new Uint8Array(100)));
    await step('flush', () => region.flush());
    await step('find', () => native().deviceAllocation('cuda', region.address));
    const staging = await native().allocate(1n << 20n, 'never');
    const lane = await native().connectTcpLane({
      name: 'tcp', host: '127.0.0.1', port: server.port, protocolVersion: 1, connectTimeoutMs: 5000, stallTimeoutMs: 20000,
    });
    await step('pull', async () => {
      const { fault } = await native().startTransfer({
        remoteAddress: BigUint64Array.of(source.address), length: BigUint64Array.of(bytes), localOffset: BigUint64Array.of(0n),
        region: Uint32Array.of(0), regions: [region], bufferAddress: BigUint64Array.of(source.address),
        bufferLength: BigUint64Array.of(bytes), lanes: [lane], sliceBytes: 1 << 16, maxSegments: 16, merge: true, staging,
      }).done;
      if (fault !== undefined) throw fault;
    });
    await step('read', async () => {
      const read = new Uint8Array(Number(bytes));
      await region.read(0n, read);
      if (errors.pull === undefined && read.some((byte) => byte !== 7)) throw new Error('other bytes were read than sent');
    });
    staging.close();
    region.close();
  }
  source.close();
  await server.close();
  console.log(JSON.stringify(errors));
`;

interface Ledger {
  readonly alive: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
  readonly calls: Readonly<Record<string, number>>;
}

describe('a driver that refuses', { concurrency: 2 }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'weightcast-refused-'));
  after(() => {
    rmSync(folder, { recursive: true });
  });

  /** What failed, and the driver's ledger, where each call of `name` ends with CUDA_ERROR_UNKNOWN. */
  async function refusing(name: string | undefined) {
    const report = path.join(folder, `${name ?? 'nothing'}.json`);
    const environment = { WEIGHTCAST_STANDIN_REPORT: report, ...(name !== undefined && { WEIGHTCAST_STANDIN_REFUSE: `${name}=999@0` }) };
    const outcome = await runChild(`Object.assign(process.env, ${JSON.stringify(environment)});` + work);
    assert.deepEqual([outcome.code, outcome.signal], [0, null], outcome.stderr);
    const errors = JSON.parse(outcome.stdout) as Readonly<Record<string, readonly [string, string]>>;
    const { alive, faults, calls } = JSON.parse(readFileSync(report, 'utf8')) as Ledger;
    return { errors, faults, calls, alive: Object.entries(alive).filter(([, count]) => count !== 0) };
  }

  it('nothing: every step succeeds, and nothing is left', async () => {
    const { errors, faults, alive } = await refusing(undefined);
    assert.deepEqual({ errors, faults, alive }, { errors: {}, faults: [], alive: [] });
  });

  /** The steps that cannot succeed then. */
  const steps: Readonly<Record<string, readonly string[]>> = {
    cuInit: ['allocate'],
    cuDriverGetVersion: ['allocate'],
    cuDeviceGetCount: ['allocate'],
    cuDeviceGet: ['allocate'],
    cuDeviceGetPCIBusId: ['allocate'],
    cuDevicePrimaryCtxRetain: ['allocate'],
    cuCtxPushCurrent: ['allocate'],
    cuMemAlloc: ['allocate'],
    cuPointerGetAttribute: ['allocate'],
    cuMemGetAddressRange: ['find'],
    cuFlushGPUDirectRDMAWrites: ['flush'],
    cuMemHostRegister: ['pull'],
    cuMemcpyHtoDAsync: ['write', 'pull'],
    cuMemcpyDtoHAsync: ['read'],
    cuStreamCreate: ['write', 'pull', 'read'],
    cuEventCreate: ['write', 'pull', 'read'],
    cuEventRecord: ['write', 'pull', 'read'],
  };
  for (const [name, expected] of Object.entries(steps)) {
    it(`${name}: ${expected.join(', ')} fails with its words, and nothing is left`, async () => {
      const { errors, faults, alive, calls } = await refusing(name);
      assert.ok((calls[name] ?? 0) > 0, `${name} was not called`);
      assert.deepEqual(Object.keys(errors), expected, JSON.stringify(errors));
      for (const [code, message] of Object.values(errors)) {
        assert.match(message, new RegExp(`${name}: CUDA_ERROR_UNKNOWN 999`));
        assert.equal(code, name === 'cuInit' ? 'DEVICE_UNAVAILABLE' : 'DEVICE');
      }
      assert.deepEqual({ faults, alive }, { faults: [], alive: [] });
    });
  }

  /** What cannot be given back then; nobody is there to be told. */
  const left: Readonly<Record<string, string>> = {
    cuMemFree: 'allocations',
    cuMemHostUnregister: 'pinned ranges',
    cuStreamDestroy: 'streams',
    cuEventDestroy: 'events',
    cuDevicePrimaryCtxRelease: 'contexts',
  };
  for (const [name, kind] of Object.entries(left)) {
    it(`${name}: every step succeeds, and only ${kind} are left`, async () => {
      const { errors, faults, alive } = await refusing(name);
      assert.deepEqual({ errors, faults }, { errors: {}, faults: [] });
      assert.deepEqual(
        alive.map(([left]) => left),
        [kind],
      );
    });
  }
});
