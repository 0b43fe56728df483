/** What a seed says of the bytes that it sent over TCP: how many, and whether the kernel copied them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pull, seedTensors, type Seed, type SeedOptions } from '#src/index.js';
import { byteTensors, startServer } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';

const sizes = [9 << 20, 4096];
const total = BigInt(sizes.reduce((sum, size) => sum + size, 0));

async function seedAndPull(options: Partial<SeedOptions>): Promise<Seed> {
  const server = await startServer();
  const wire = { identity: { modelName: 'm' }, server: server.address, transport: 'tcp', host: '127.0.0.1' } as const;
  const seed = await seedTensors(byteTensors(sizes), { ...wire, ...options });
  const { verified } = await pull({ ...wire, connections: 1, into: { kind: 'discard' } });
  assert.equal(verified?.tensors, sizes.length);
  return seed;
}

test('loopback copies: one try on the connection, then plain sends, and both are said', async () => {
  await using seed = await seedAndPull({});
  const served = await eventually('the verdict', () => {
    const now = seed.tcpServed;
    return Promise.resolve(now !== undefined && now.zeroCopyRefused > 0 ? now : undefined);
  });
  // The seed's own look at its health is a connection as well.
  const { connections, requests, ...rest } = served;
  assert.ok(connections >= 1 && requests >= 2, `${String(connections)} connections, ${String(requests)} requests`);
  assert.deepEqual(rest, { rejected: 0, bytes: total, zeroCopyBytes: 0n, zeroCopyRefused: 1, zeroCopyCrowded: 0 });
  await seed.close();
  assert.equal(seed.tcpServed?.bytes, total);
});

test('never and always are what was asked for', async () => {
  for (const zeroCopy of ['never', 'always'] as const) {
    await using seed = await seedAndPull({ zeroCopy });
    const { bytes, zeroCopyBytes, zeroCopyRefused } = seed.tcpServed ?? {};
    assert.deepEqual([bytes, zeroCopyBytes, zeroCopyRefused], [total, 0n, 0], zeroCopy);
  }
});

test('no other choice is taken', async () => {
  const zeroCopy = 'sometimes' as 'auto';
  await assert.rejects(seedTensors(byteTensors([1]), { identity: { modelName: 'm' }, server: '127.0.0.1:1', zeroCopy }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /zeroCopy.*sometimes/,
  });
});
