/** 100 000 tensors of 4 KiB in one model: what it costs in each phase, and that the event loop stays free on the wire. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Region } from '#src/region.js';
import { seedTensors, type SeedTensor } from '#src/seed/index.js';
import { pull } from '#src/target/index.js';
import { pattern, startServer } from '../../support/cluster.js';

const count = 100_000;
const size = 4096;

/** Order without neighbours: 7919 is prime and does not divide the count. */
const shuffled = (index: number): number => (index * 7919) % count;

test('100 000 tensors of 4 KiB: publish, discover, pull and verify', async (t) => {
  const server = await startServer();
  const shared = { identity: { modelName: 'org/many' }, server: server.address, host: '127.0.0.1', transport: 'tcp' } as const;
  const region = await Region.allocate(BigInt(count * size));
  region.view().set(pattern(count * size, 1));
  const tensors = Array.from({ length: count }, (_, index): SeedTensor => ({
    name: `model.layers.${String(index % 61)}.mlp.experts.${String(index)}.down_proj.weight`,
    dtype: 'U8',
    shape: [size],
    data: { region, offset: BigInt(index * size), byteLength: BigInt(size) },
  }));
  await using seed = await seedTensors(tensors, shared);
  t.diagnostic(`seed phases, ms: ${JSON.stringify(seed.summary.phases)}`);

  const merged = await pull({ ...shared, into: { kind: 'memory' } });
  assert.equal(merged.tensors, count);
  assert.equal(merged.verified?.tensors, count);
  assert.ok(merged.workRequests < count / 100, `${String(merged.workRequests)} reads: neighbours are merged`);
  assert.equal(merged.output.kind, 'memory');
  merged.output.region.close();
  t.diagnostic(
    `in order: phases, ms: ${JSON.stringify(merged.phases)}; ${String(merged.workRequests)} reads; loop blocked at most ${merged.eventLoopMaxDelayMs.toFixed(1)} ms`,
  );
  assert.ok(merged.eventLoopMaxDelayMs < 50, `the event loop was blocked for ${String(merged.eventLoopMaxDelayMs)} ms on the wire`);

  const into = await Region.allocate(BigInt(count * size));
  const scattered = await pull({
    ...shared,
    into: {
      kind: 'tensors',
      tensors: tensors.map(({ name }, index) => ({
        name,
        data: { region: into, offset: BigInt(shuffled(index) * size), byteLength: BigInt(size) },
      })),
    },
  });
  assert.equal(scattered.verified?.tensors, count);
  t.diagnostic(
    `shuffled: phases, ms: ${JSON.stringify(scattered.phases)}; ${String(scattered.workRequests)} reads; loop blocked at most ${scattered.eventLoopMaxDelayMs.toFixed(1)} ms`,
  );
  assert.ok(scattered.eventLoopMaxDelayMs < 50, `the event loop was blocked for ${String(scattered.eventLoopMaxDelayMs)} ms on the wire`);
  for (let index = 0; index < count; index += 997) {
    assert.deepEqual(into.view(BigInt(shuffled(index) * size), size), region.view(BigInt(index * size), size), `tensor ${String(index)}`);
  }
});
