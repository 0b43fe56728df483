import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dtypes } from '#src/model/dtypes.js';
import { elementsOf } from '#src/sglang/elements.js';

describe('elements as torch counts them', () => {
  it('follow from dtype and bytes', () => {
    assert.deepEqual(elementsOf('BF16', 10n), { numel: 5n, elementSize: 2 });
    assert.deepEqual(elementsOf('F64', 0n), { numel: 0n, elementSize: 8 });
    assert.deepEqual(elementsOf('F8_E4M3', 2n ** 53n + 1n), { numel: 2n ** 53n + 1n, elementSize: 1 });
  });

  it('are bytes where they are smaller than one, or nobody knows what they are', () => {
    // torch: float4_e2m1fn_x2 packs two into an element of one byte; 6-bit floats are held as uint8.
    assert.deepEqual(elementsOf('', 24n, 2), { numel: 12n, elementSize: 2 }, 'unless somebody told their size');
    for (const dtype of ['F4', 'F6_E2M3', 'F6_E3M2', '', 'Q4_K']) {
      assert.deepEqual(elementsOf(dtype, 24n), { numel: 24n, elementSize: 1 }, dtype);
    }
  });

  it('make up all bytes, whatever the dtype', () => {
    for (const dtype of dtypes) {
      const { numel, elementSize } = elementsOf(dtype, 4096n);
      assert.equal(numel * BigInt(elementSize), 4096n, dtype);
    }
  });
});
