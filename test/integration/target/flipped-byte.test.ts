/** One wrong byte is found, wherever it lies, whichever way it came, and while other bytes were hashed before and after it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WeightcastError } from '#src/errors.js';
import { seedTensors } from '#src/seed/index.js';
import { pull, type PullOptions } from '#src/target/index.js';
import { byteTensors, startServer } from '../../support/cluster.js';

const registry = await startServer();
/** Astride slices of 64 KiB, within one, one byte alone, and none. */
const sizes = [3_000_000, 1, 70_000, 0, 4000, 4000, 200_000];

for (const transport of ['tcp', 'local'] as const) {
  test(`a flipped byte is found over ${transport}`, async () => {
    const identity = { modelName: `org/flipped-${transport}` };
    const shared = { identity, server: registry.address, host: '127.0.0.1' };
    const tensors = byteTensors(sizes);
    await using _seed = await seedTensors(tensors, shared);
    const options: PullOptions = { ...shared, transport, sliceBytes: 65_536, into: { kind: 'discard' } };
    const { verified, bytes } = await pull(options);
    assert.deepEqual([verified?.tensors, verified?.bytes], [sizes.length, bytes]);
    for (const [index, at] of [
      [0, 0],
      [0, 1_500_000],
      [0, 2_999_999],
      [1, 0],
      [2, 65_536],
      [4, 3999],
      [6, 131_072],
    ] as const) {
      const data = tensors[index]?.data;
      assert.ok(data);
      const name = `tensor.${String(index)}`;
      const flip = (): void => {
        data[at] = 255 - (data[at] ?? 0);
      };
      flip();
      await assert.rejects(
        async () => pull(options),
        (error) => error instanceof WeightcastError && error.code === 'ERR_CHECKSUM_MISMATCH' && error.tensor === name,
        `byte ${String(at)} of ${name}`,
      );
      flip();
    }
    assert.equal((await pull({ ...options, verify: 'twice' })).verified?.tensors, sizes.length);
  });
}
