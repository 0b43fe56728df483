import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { firstRow } from '#src/handshake/index.js';

const upTo = (count: number): string[] => Array.from({ length: count }, (_, index) => `cuda:${String(index)}`);

// What programs with libstdc++ of GCC 12 print for std::unordered_map<std::string, …> that is filled in sorted order.
const printed: readonly (readonly [string | undefined, readonly string[]])[] = [
  [undefined, []],
  ['cpu:0', ['cpu:0']],
  ['cuda:0', ['cpu:0', 'cuda:0']],
  ['cuda:1', ['cpu:0', 'cpu:1', ...upTo(2)]],
  ['cuda:3', ['cpu:0', 'cpu:1', ...upTo(4)]],
  ['cuda:4', ['cpu:0', 'cpu:1', ...upTo(6)]],
  ['cuda:7', ['cpu:0', 'cpu:1', ...upTo(8)]],
  ['cuda:9', ['cpu:0', 'cpu:1', ...upTo(16)]],
  ['cuda:7', ['cpu:0', 'cpu:1', ...upTo(32)]],
  ['cuda:9', ['cpu:0', 'cpu:1', ...upTo(64)]],
  ['cuda:98', ['cpu:0', 'cpu:1', ...upTo(128)]],
  ['cuda:5', ['cuda:1', 'cuda:5']],
  ['cuda:2', ['cuda:1', 'cuda:2', 'cuda:5']],
  ['cuda:3', ['cuda:12', 'cuda:13', 'cuda:3']],
  ['hip:3', ['hip:0', 'hip:1', 'hip:2', 'hip:3']],
  ['cuda:0', ['a-location-of-sixteen', 'cuda:0']],
  ['cuda:0', ['*', 'cpu:0', 'cuda:0']],
  ['x', ['cpu:0', 'segments:4096:0,1,0,1,0,1', 'x']],
];

describe('the first row that readers meet', () => {
  for (const [first, locations] of printed) {
    it(`of ${String(locations.length)} (${locations.join(' ')}) is ${String(first)}, in whatever order they are given`, () => {
      assert.equal(firstRow(locations), first);
      assert.equal(firstRow([...locations].reverse()), first);
    });
  }
});
