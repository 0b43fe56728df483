/** Mirrors of what is known of over HTTP or by the caller alone: SGLang's question, and sessions; with and without a server. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { mirror, pull, seedModel, type SeedSummary } from '#src/index.js';
import { generateModel } from '#src/model/generate.js';
import type { TensorSpec } from '#src/model/safetensors.js';
import { startServer, temporaryFolder } from '../../support/cluster.js';
import { assertSameModel } from '../../support/models.js';
import { inOrder } from '../target/support.js';

const folder = await temporaryFolder();
const model = join(folder, 'model');
const specs: TensorSpec[] = [
  { name: 'embed', dtype: 'BF16', shape: [100, 31] },
  { name: 'norm', dtype: 'F32', shape: [31] },
  { name: 'scale', dtype: 'F8_E4M3', shape: [7, 9] },
  { name: 'step', dtype: 'I64', shape: [] },
];
await generateModel(model, specs);
const tcp = { host: '127.0.0.1', transport: 'tcp' } as const;

type Elements = Record<string, readonly [numel: number, elementSize: number]>;

/** What SGLang's loader compares its own parameters with. */
async function elementsAt({ sglang }: SeedSummary): Promise<Elements> {
  const response = await fetch(`${sglang?.url ?? ''}/get_remote_instance_transfer_engine_info?rank=0`);
  const { remote_instance_transfer_engine_info: info } = (await response.json()) as {
    remote_instance_transfer_engine_info: [string, Record<string, [number, number, number]>];
  };
  return Object.fromEntries(Object.entries(info[1]).map(([name, [, numel, elementSize]]) => [name, [numel, elementSize]]));
}

const expected: Elements = { embed: [3100, 2], norm: [31, 4], scale: [63, 1], step: [1, 8] };

test('a mirror without any server, of an SGLang server: elements stay what they were, and a checkpoint says the rest', async () => {
  const identity = { modelName: 'org/http' };
  const seed = await seedModel(model, { ...tcp, identity, sglang: { port: 0 } });
  assert.deepEqual(await elementsAt(seed.summary), expected);
  await using mirrored = await mirror({ ...tcp, identity, sglang: { port: 0 }, source: { sglang: seed.summary.sglang?.url ?? '' } });
  const { summary } = mirrored;
  assert.deepEqual(summary.source.origin, { kind: 'sglang', url: seed.summary.sglang?.url });
  assert.equal(summary.source.verified?.bytesReadTwice, summary.bytes, 'SGLang says no checksums');
  await seed.close();
  assert.deepEqual(await elementsAt(summary), expected);
  const path = join(folder, 'copy');
  await pull({ ...tcp, sglang: summary.sglang?.url ?? '', like: model, into: { kind: 'directory', path } });
  await assertSameModel(model, path);
});

test('a mirror of a mirror of an SGLang server passes on what the first one knew, through a metadata server', async () => {
  const server = (await startServer()).address;
  const identity = { modelName: 'org/chain' };
  const seed = await seedModel(model, { ...tcp, identity, sglang: { port: 0 } });
  const sglang = { port: 0 };
  const first = await mirror({ ...tcp, identity, server, workerId: 'first', source: { sglang: seed.summary.sglang?.url ?? '' } });
  await seed.close();
  await using second = await mirror({ ...tcp, identity, server, sglang, workerId: 'second', source: { selector: inOrder('first') } });
  assert.equal(second.summary.source.verified?.bytesReadTwice, 0n, 'the first mirror has checksums');
  await first.close();
  assert.deepEqual(await elementsAt(second.summary), expected);
  const path = join(folder, 'chained');
  await pull({ ...tcp, identity, server, like: model, into: { kind: 'directory', path }, selector: inOrder('second') });
  await assertSameModel(model, path);
});

test('a mirror of a session whose tensors the caller knows; and of nothing', async () => {
  const server = (await startServer()).address;
  const identity = { modelName: 'org/session' };
  const seed = await seedModel(model, { ...tcp, identity, sglang: { port: 0 } });
  const response = await fetch(`${seed.summary.sglang?.url ?? ''}/get_transfer_engine_info?rank=0`);
  const { remote_instance_transfer_engine_info: info } = (await response.json()) as {
    remote_instance_transfer_engine_info: [string, Record<string, [number, number, number]>];
  };
  const tensors = Object.entries(info[1]).map(([name, [address, numel, elementSize]]) => ({
    ...{ name, address: BigInt(address), bytes: BigInt(numel * elementSize) },
    ...{ dtype: specs.find((spec) => spec.name === name)?.dtype ?? '', shape: specs.find((spec) => spec.name === name)?.shape ?? [] },
  }));
  await using mirrored = await mirror({ ...tcp, identity, server, source: { session: { id: info[0], tensors } } });
  await seed.close();
  const result = await pull({ ...tcp, identity, server, into: { kind: 'memory' } });
  assert.equal(result.verified?.bytes, mirrored.summary.bytes);
  assert.ok(result.output.kind === 'memory');
  using _ = result.output.region;
  assert.deepEqual(
    result.output.tensors.map(({ name, dtype, shape }) => [name, dtype, shape]).sort(),
    specs.map(({ name, dtype, shape }) => [name, dtype, shape]).sort(),
  );
  await assert.rejects(mirror({ ...tcp, identity, sglang: { port: 0 } }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /source\.sglang or a session in source\.session, but received none of them/,
  });
});
