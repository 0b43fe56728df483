/** Weights of one accelerator and into another, over TCP and without a wire: always through host memory, and said to be. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { generateModel } from '#src/model/generate.js';
import { openModel } from '#src/model/model.js';
import { qwen2_5_7b } from '#src/model/shapes/index.js';
import { Region } from '#src/region.js';
import { seedModel, seedTensors, type SeedOptions } from '#src/seed/index.js';
import { pull, type PullOptions } from '#src/target/index.js';
import { useStandins } from '../../support/standin.js';
import { byteTensors, pattern, startServer, temporaryFolder } from '../../support/cluster.js';
import { Role, seed as seedRole, serve } from '../../support/roles.js';

useStandins();
const server = await startServer();
let models = 0;

function shared(
  transport: 'tcp' | 'auto',
): Pick<SeedOptions & PullOptions, 'host'> & { identity: { modelName: string }; server: string; transport: 'tcp' | 'auto' } {
  return { identity: { modelName: `org/device-${String(models++)}` }, server: server.address, host: '127.0.0.1', transport };
}

/** A region of an accelerator with these bytes, closed with the test. */
async function onDevice(context: TestContext, ordinal: number, bytes: Uint8Array): Promise<Region> {
  const region = await Region.allocateOn({ cuda: ordinal }, BigInt(bytes.length));
  context.after(() => {
    region.close();
  });
  await region.write(0n, bytes);
  return region;
}

async function bytesOf(region: Region, offset = 0n, length = Number(region.byteLength - offset)): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await region.read(offset, bytes);
  return bytes;
}

for (const transport of ['tcp', 'auto'] as const) {
  test(`${transport}: from cuda:0 into cuda:1, byte for byte, through host memory on both sides`, async (context) => {
    const bytes = pattern(9_000_001, 7);
    const source = await onDevice(context, 0, bytes);
    const options = shared(transport);
    const half = 4_500_000;
    const tensor = (name: string, start: number, end: number) => ({
      ...{ name, dtype: 'U8' },
      data: { region: source, offset: BigInt(start), byteLength: BigInt(end - start) },
    });
    const seed = await seedTensors([tensor('a', 0, half), tensor('b', half, bytes.length)], options);
    context.after(() => seed.close());
    const { summary } = seed;
    assert.equal(summary.backing, 'copied');
    assert.deepEqual([summary.deviceMemory?.devices, summary.deviceMemory?.path], [['cuda:0'], 'staging']);
    assert.notEqual(summary.deviceMemory?.reason, '');
    assert.ok(summary.transports.includes('tcp'), 'a copy can be read by everybody');
    assert.equal(source.device !== undefined && (await bytesOf(source, 0n, 4)).length, 4, 'the memory of the caller stays its own');

    const result = await pull({ ...options, into: { kind: 'memory', on: { cuda: 1 } } });
    assert.ok(result.output.kind === 'memory');
    const { region, tensors } = result.output;
    assert.deepEqual(region.device, { cuda: 1 });
    assert.equal(result.transport, transport === 'tcp' ? 'tcp' : 'local');
    assert.deepEqual([result.deviceMemory?.devices, result.deviceMemory?.path], [['cuda:1'], 'staging']);
    assert.match(result.deviceMemory?.reason ?? '', /only RDMA writes into an accelerator's memory/);
    assert.equal(result.accelerator, 'cuda');
    assert.deepEqual([result.verified?.tensors, result.verified?.bytesWhileReading], [2, 0n]);
    for (const [index, { name, offset, bytes: length }] of tensors.entries()) {
      const wanted = index === 0 ? bytes.subarray(0, half) : bytes.subarray(half);
      assert.ok(Buffer.from(await bytesOf(region, offset, Number(length))).equals(wanted), name);
    }
    region.close();
  });
}

test('raw addresses of the driver, on both sides; host memory beside them', async (context) => {
  const bytes = pattern(300_000, 3);
  const source = await onDevice(context, 0, bytes);
  const target = await onDevice(context, 1, new Uint8Array(300_000));
  const options = shared('tcp');
  const [beside] = byteTensors([5000]);
  const part = (region: Region, device: number, start: number, length: number) => {
    return { device: { cuda: device }, address: region.address + BigInt(start), byteLength: BigInt(length) };
  };
  const seed = await seedTensors(
    [
      { name: 'first', dtype: 'U8', data: part(source, 0, 0, 100_001) },
      { name: 'second', dtype: 'U8', data: part(source, 0, 100_001, 50_000) },
      { ...beside!, name: 'beside' },
    ],
    options,
  );
  context.after(() => seed.close());
  const host = new Uint8Array(5000);
  const result = await pull({
    ...options,
    verify: 'twice',
    into: {
      kind: 'tensors',
      tensors: [
        { name: 'second', data: part(target, 1, 77, 50_000) },
        { name: 'first', data: part(target, 1, 50_077, 100_001) },
        { name: 'beside', data: host },
      ],
    },
  });
  assert.equal(result.deviceMemory?.path, 'staging');
  const landed = await bytesOf(target);
  assert.ok(Buffer.from(landed.subarray(77, 50_077)).equals(bytes.subarray(100_001, 150_001)));
  assert.ok(Buffer.from(landed.subarray(50_077, 150_078)).equals(bytes.subarray(0, 100_001)));
  assert.ok(
    landed.subarray(0, 77).every((byte) => byte === 0) && landed.subarray(150_078).every((byte) => byte === 0),
    'nothing beside them',
  );
  assert.deepEqual(host, beside!.data);
});

test('without checksums, two reads are compared, and the memory is wiped in between', async (context) => {
  const bytes = pattern(200_000, 5);
  const source = await onDevice(context, 0, bytes);
  const options = shared('tcp');
  const data = { region: source, offset: 0n, byteLength: 200_000n };
  const seed = await seedTensors([{ name: 'w', dtype: 'U8', data }], { ...options, checksums: false });
  context.after(() => seed.close());
  const result = await pull({ ...options, verify: 'twice', into: { kind: 'memory', on: { cuda: 0 } } });
  assert.equal(result.verified?.bytesReadTwice, 200_000n);
  assert.ok(result.output.kind === 'memory');
  assert.ok(Buffer.from(await bytesOf(result.output.region)).equals(bytes));
  result.output.region.close();
});

test('an address that is of another device, of the host, or a device that is not there, is refused by name', async (context) => {
  const source = await onDevice(context, 0, new Uint8Array(4096));
  const seedOf = (data: { device: { cuda: number }; address: bigint; byteLength: bigint }) =>
    seedTensors([{ name: 'w', dtype: 'U8', data }], shared('tcp'));
  const wrong = { code: 'ERR_INVALID_ARGUMENT', tensor: 'w' };
  await assert.rejects(seedOf({ device: { cuda: 1 }, address: source.address, byteLength: 16n }), {
    ...wrong,
    message: /is memory of cuda:0/,
  });
  await assert.rejects(seedOf({ device: { cuda: 0 }, address: 4096n, byteLength: 16n }), wrong);
  const options = shared('tcp');
  const seed = await seedTensors(byteTensors([16]), options);
  context.after(() => seed.close());
  await assert.rejects(Promise.resolve(pull({ ...options, into: { kind: 'memory', on: { cuda: 7 } } })), {
    code: 'ERR_NOT_FOUND',
    message: /cuda:7/,
  });
  await assert.rejects(Promise.resolve(pull({ ...options, into: { kind: 'memory', on: { hip: 0 } } })), {
    code: 'ERR_ACCELERATOR_UNAVAILABLE',
  });
});

test('a way that needs RDMA is an error where there is none, on both sides', async (context) => {
  const source = await onDevice(context, 0, new Uint8Array(64));
  const options = shared('auto');
  const tensors = [{ name: 'w', dtype: 'U8', data: { region: source, offset: 0n, byteLength: 64n } }];
  await assert.rejects(seedTensors(tensors, { ...options, devicePath: 'dma-buf' }), {
    code: 'ERR_RDMA_UNAVAILABLE',
    message: /devicePath "dma-buf" needs RDMA/,
  });
  const seed = await seedTensors(tensors, { ...options, devicePath: 'staging' });
  context.after(() => seed.close());
  assert.deepEqual(seed.summary.deviceMemory, { devices: ['cuda:0'], path: 'staging', reason: '' });
  await assert.rejects(Promise.resolve(pull({ ...options, devicePath: 'peer-memory', into: { kind: 'memory', on: { cuda: 0 } } })), {
    code: 'ERR_RDMA_UNAVAILABLE',
  });
  const staged = await pull({ ...options, devicePath: 'staging', into: { kind: 'discard', on: { cuda: 0 } } });
  assert.deepEqual(staged.deviceMemory, { devices: ['cuda:0'], path: 'staging', reason: '' });
});

test('a model is loaded into the memory of an accelerator, and comes out as it was', async (context) => {
  const folder = await temporaryFolder();
  const path = join(folder, 'model');
  await generateModel(path, qwen2_5_7b({ scale: 64 }), { maxFileBytes: 1e6 });
  const options = shared('tcp');
  const seed = await seedModel(path, { ...options, on: { cuda: 1 } });
  context.after(() => seed.close());
  assert.deepEqual(seed.summary.deviceMemory?.devices, ['cuda:1']);
  const copy = join(folder, 'copy');
  await pull({ ...options, into: { kind: 'directory', path: copy } });
  for (const { path: file } of (await openModel(path)).weightFiles) {
    assert.ok((await readFile(file)).equals(await readFile(join(copy, file.slice(path.length + 1)))), file);
  }
});

test('the commands: seed --device cuda:0, pull --device cuda:1 holds until a signal, and doctor knows both', async () => {
  const model = join(await temporaryFolder(), 'model');
  await generateModel(model, qwen2_5_7b({ scale: 64 }), { maxFileBytes: 1e6 });
  const { role: metadata, address } = await serve();
  const common = ['--server', address, '--model-name', 'm', '--host', '127.0.0.1', '--transport', 'tcp'];
  const { role, ready } = await seedRole(model, [...common, '--device', 'cuda:0']);
  assert.equal((ready['deviceMemory'] as { path: string }).path, 'staging');
  const holding = new Role(['pull', ...common, '--device', 'cuda:1']);
  const summary = (await holding.next()) as unknown as { output: { kind: string; bytes: number }; deviceMemory: unknown; bytes: number };
  const { kind, bytes } = summary.output;
  assert.ok(kind === 'memory' && bytes >= summary.bytes, 'files begin on pages');
  assert.deepEqual((summary.deviceMemory as { devices: unknown }).devices, ['cuda:1']);
  assert.equal((await holding.stop('SIGINT')).code, 130);
  assert.equal((await new Role(['pull', ...common, '--device', 'cuda:1', '--discard']).ended).code, 0);
  const report = (await new Role(['doctor']).ended).printed[0] as {
    native: { accelerators: { ways: { accelerator: string; path: string }[] } };
  };
  assert.deepEqual(
    report.native.accelerators.ways.map(({ accelerator, path }) => [accelerator, path]),
    [
      ['cuda:0', 'staging'],
      ['cuda:1', 'staging'],
    ],
  );
  await role.stop();
  await metadata.stop();
});
