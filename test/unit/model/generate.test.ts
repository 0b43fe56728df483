import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ChunkWriter } from '#src/model/chunk-writer.js';
import { dtypes } from '#src/model/dtypes.js';
import { generateModel } from '#src/model/generate.js';
import { openModel, type Model } from '#src/model/model.js';
import type { TensorSpec } from '#src/model/safetensors.js';
import { deepseekV3, deepseekV3Config, smallTensors } from '#src/model/shapes/index.js';
import { tensorContent } from '#src/model/tensor-content.js';
import { failsWith, temporaryDirectory } from './support.js';

async function digests(model: Model): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  const contents = await Promise.all(model.weightFiles.map(({ path }) => readFile(path)));
  for (const { name, file, offset, bytes } of model.tensors) {
    const begin = Number(model.weightFiles[file]!.dataOffset + offset);
    const content = contents[file]!.subarray(begin, begin + Number(bytes));
    result.set(name, createHash('sha256').update(content).digest('hex'));
  }
  return result;
}

const specs = deepseekV3({ scale: 32, layers: 4, experts: 8, rank: 3 });

test('writes a sharded checkpoint that opens as what was asked for', async (t) => {
  const dir = join(await temporaryDirectory(t), 'new', 'model');
  const config = deepseekV3Config({ scale: 32, layers: 4, experts: 8 });
  await generateModel(dir, specs, { maxFileBytes: 500_000, config });
  const model = await openModel(dir);
  assert.ok(model.weightFiles.length > 3);
  assert.equal(model.weightFiles[0]?.name, `model-00001-of-0000${model.weightFiles.length}.safetensors`);
  const plain = ({ name, dtype, shape }: TensorSpec): TensorSpec => ({ name, dtype, shape });
  const sorted = (list: readonly TensorSpec[]): TensorSpec[] => list.map(plain).sort((a, b) => (a.name < b.name ? -1 : 1));
  assert.deepEqual(sorted(model.tensors), sorted(specs));
  assert.deepEqual(
    model.modelFiles.map(({ name }) => name),
    ['config.json', 'generation_config.json', 'model.safetensors.index.json', 'tokenizer.json'],
  );
  assert.deepEqual(JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')), config);
  const index = JSON.parse(await readFile(join(dir, 'model.safetensors.index.json'), 'utf8')) as { metadata: { total_size: number } };
  assert.equal(
    BigInt(index.metadata.total_size),
    model.tensors.reduce((sum, { bytes }) => sum + bytes, 0n),
  );
  for (const { dataBytes, dataOffset } of model.weightFiles) {
    assert.ok(dataBytes <= 500_000n || model.tensors.some(({ bytes }) => bytes === dataBytes));
    assert.equal(dataOffset % 8n, 0n);
  }
});

test('every element of a wide dtype is aligned in its file', async (t) => {
  const dir = await temporaryDirectory(t);
  await generateModel(
    dir,
    dtypes.map((dtype) => ({ name: dtype, dtype, shape: [4, 3] })),
  );
  const width: Record<string, bigint> = {
    F64: 8n,
    C64: 8n,
    U64: 8n,
    I64: 8n,
    F32: 4n,
    I32: 4n,
    U32: 4n,
    BF16: 2n,
    F16: 2n,
    I16: 2n,
    U16: 2n,
  };
  const model = await openModel(dir);
  for (const { dtype, offset } of model.tensors) assert.equal(offset % (width[dtype] ?? 1n), 0n, dtype);
  assert.equal(model.tensors.length, 22);
});

test('bytes follow from seed and name, not from the cut into files', async (t) => {
  const root = await temporaryDirectory(t);
  await generateModel(join(root, 'one'), specs, { seed: 1 });
  await generateModel(join(root, 'many'), specs, { seed: 1, maxFileBytes: 200_000 });
  await generateModel(join(root, 'other'), specs, { seed: 2 });
  const [one, many, other] = await Promise.all(['one', 'many', 'other'].map(async (name) => digests(await openModel(join(root, name)))));
  assert.deepEqual(new Map([...many!].sort()), new Map([...one!].sort()));
  assert.equal([...one!].filter(([name, digest]) => other!.get(name) === digest).length, 0);
  const expected = createHash('sha256')
    .update(tensorContent(1, 'model.norm.weight', 'BF16')(BigInt(7168 / 32) * 2n))
    .digest('hex');
  assert.equal(one!.get('model.norm.weight'), expected);
});

test('tensors larger than every buffer are written whole, without a detour over every byte', async (t) => {
  const dir = await temporaryDirectory(t);
  const big: TensorSpec = { name: 'big', dtype: 'U8', shape: [96 * 1024 * 1024 + 13] };
  const before = process.cpuUsage();
  await generateModel(dir, [big, { name: 'flags', dtype: 'BOOL', shape: [1000] }]);
  // Takes 0.2 s of processor time; the bound is for machines that are busy with other things.
  assert.ok(process.cpuUsage(before).user < 2_000_000, `${process.cpuUsage(before).user} µs for 96 MiB`);
  const content = await readFile(join(dir, 'model.safetensors'));
  const model = await openModel(dir);
  const at = (name: string): Buffer => {
    const tensor = model.tensors.find((candidate) => candidate.name === name)!;
    const begin = Number(model.weightFiles[0]!.dataOffset + tensor.offset);
    return content.subarray(begin, begin + Number(tensor.bytes));
  };
  const next = tensorContent(0, 'big', 'U8');
  for (let done = 0; done < at('big').length;) {
    const part = next(BigInt(at('big').length - done));
    assert.ok(Buffer.compare(part, at('big').subarray(done, done + part.length)) === 0, `bytes from ${done} on`);
    done += part.length;
  }
  assert.deepEqual([...new Set(at('flags'))].sort(), [0, 1]);
});

test('content is neither constant nor repeated between tensors', () => {
  const draw = (seed: number, name: string): Buffer => Buffer.from(tensorContent(seed, name, 'U8')(65536n));
  const one = draw(0, 'a');
  const counts = new Uint32Array(256);
  for (const byte of one) counts[byte]!++;
  assert.ok(
    counts.every((count) => count > 150 && count < 370),
    'bytes are not evenly spread',
  );
  assert.deepEqual(draw(0, 'a'), one);
  for (const other of [draw(1, 'a'), draw(0, 'b')]) {
    const equal = one.reduce((sum, byte, index) => sum + (byte === other[index] ? 1 : 0), 0);
    assert.ok(equal < 400, `${equal} of 65536 bytes are equal`);
  }
});

test('one file has no index; empty tensors and names like __proto__ survive', async (t) => {
  const root = await temporaryDirectory(t);
  const odd: TensorSpec[] = ['__proto__', '', 'a"b', '重み'].map((name, index) => ({ name, dtype: 'F16', shape: [index] }));
  for (const [name, maxFileBytes] of [
    ['one', 1000],
    ['many', 1],
  ] as const) {
    await generateModel(join(root, name), odd, { maxFileBytes });
    const model = await openModel(join(root, name));
    assert.deepEqual(new Set(model.tensors.map((tensor) => tensor.name)), new Set(odd.map((spec) => spec.name)));
    assert.equal(
      model.modelFiles.some((file) => file.name.endsWith('index.json')),
      name === 'many',
    );
  }
});

test('refuses to write over anything, and leaves it as it was', async (t) => {
  const dir = await temporaryDirectory(t);
  await writeFile(join(dir, 'config.json'), 'mine');
  await assert.rejects(generateModel(dir, specs), failsWith('ERR_ALREADY_EXISTS', /is not empty/, { file: dir }));
  assert.deepEqual(readdirSync(dir), ['config.json']);
  const file = join(dir, 'config.json');
  await assert.rejects(generateModel(file, specs), failsWith('ERR_ALREADY_EXISTS', /EEXIST/));
  assert.equal((await stat(file)).size, 4);
});

test('refuses impossible requests before it writes', async (t) => {
  const dir = join(await temporaryDirectory(t), 'never');
  const one: TensorSpec = { name: 'a', dtype: 'U8', shape: [1] };
  await assert.rejects(generateModel(dir, []), failsWith('ERR_INVALID_ARGUMENT', /at least one/));
  await assert.rejects(generateModel(dir, [one, one]), failsWith('ERR_INVALID_ARGUMENT', /two tensors are called "a"/));
  await assert.rejects(generateModel(dir, [{ ...one, shape: [-1] }]), failsWith('ERR_INVALID_ARGUMENT', /dimension -1/));
  await assert.rejects(generateModel(dir, [one], { maxFileBytes: 0 }), failsWith('ERR_INVALID_ARGUMENT', /maxFileBytes/));
  await assert.rejects(stat(dir), { code: 'ENOENT' });
});

test('what was written goes when a later file cannot be', async (t) => {
  const dir = await temporaryDirectory(t);
  const reserved: TensorSpec = { name: '__metadata__', dtype: 'U8', shape: [8] };
  await assert.rejects(
    generateModel(dir, [{ ...reserved, name: 'a' }, reserved], { maxFileBytes: 8 }),
    failsWith('ERR_INVALID_ARGUMENT', /reserved/),
  );
  assert.deepEqual(readdirSync(dir), []);
});

test('a write that fails half way is reported, and nothing stays behind', async (t) => {
  const dir = await temporaryDirectory(t);
  const script = `
    process.on('SIGXFSZ', () => {});
    const { generateModel } = await import('${import.meta.resolve('#src/model/generate.js')}');
    const spec = { name: 'big', dtype: 'U8', shape: [64 * 1024 * 1024] };
    await generateModel(${JSON.stringify(dir)}, [spec]).then(() => console.log('no error'), (error) => console.log(error.code, error.syscall));`;
  // No file beyond 10 MB: the second of the writer's chunks fails.
  const limited = 'ulimit -f 20000; exec "$0" --input-type=module -e "$1"';
  assert.equal(execFileSync('/bin/sh', ['-c', limited, process.execPath, script]).toString(), 'ERR_IO write\n');
  assert.deepEqual(readdirSync(dir), []);
});

test('files are created, never opened for overwriting', async (t) => {
  const path = join(await temporaryDirectory(t), 'x');
  const writer = await ChunkWriter.create(path);
  await writer.append(Buffer.from('abc'));
  await writer.flush();
  await writer.close();
  assert.equal((await readFile(path)).toString(), 'abc');
  await assert.rejects(ChunkWriter.create(path), { code: 'EEXIST' });
});

test('many small tensors are written in seconds', async (t) => {
  const dir = await temporaryDirectory(t);
  const start = performance.now();
  await generateModel(dir, smallTensors({ count: 20_000, bytes: 256 }), { maxFileBytes: 1_000_000 });
  assert.ok(performance.now() - start < 20_000);
  assert.equal((await openModel(dir)).tensors.length, 20_000);
});
