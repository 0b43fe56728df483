/** Our selection against what the real ModelExpress functions answered; the fixture says how it was made. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { SourceInstanceRef, type MxSourceType } from '#src/gen/model_express/p2p.js';
import { blake2b } from '#src/metadata/selection/blake2b.js';
import {
  acceleratorsCompatible,
  environmentSelection,
  localTopology,
  selectorOf,
  topologyLevels,
  type SelectionTarget,
} from '#src/metadata/selection/index.js';

interface Vectors {
  readonly blake2b: readonly { readonly length: number; readonly digestBytes: number; readonly hex: string }[];
  readonly blake2bText: readonly { readonly text: string; readonly hex: string }[];
  readonly orders: readonly {
    readonly name: string;
    readonly target: SelectionTarget;
    readonly env: Readonly<Record<string, string>>;
    readonly candidates: readonly Partial<SourceInstanceRef>[];
    readonly orders: Readonly<Record<string, readonly number[]>>;
  }[];
  readonly accelerators: {
    readonly sourceTypes: readonly MxSourceType[];
    readonly kinds: readonly { readonly quantization: string; readonly dtype: string }[];
    readonly rows: readonly { readonly target: string; readonly source: string; readonly compatible: string }[];
  };
  readonly topologies: readonly { readonly env: string; readonly topology: Readonly<Record<string, string>> }[];
  readonly levels: readonly { readonly env: string; readonly levels: readonly string[] }[];
}

const file = new URL('../../../../test/unit/selection/reference-vectors.json', import.meta.url);
const vectors = JSON.parse(await readFile(file, 'utf8')) as Vectors;

test('BLAKE2b with short digests', () => {
  for (const { length, digestBytes, hex } of vectors.blake2b) {
    const message = Uint8Array.from({ length }, (_, index) => (index * 7 + length) % 251);
    assert.equal(blake2b(message, digestBytes).toString('hex'), hex, `${String(length)} bytes, digest of ${String(digestBytes)}`);
    if (digestBytes === 64) assert.equal(hex, createHash('blake2b512').update(message).digest('hex'));
  }
  for (const { text, hex } of vectors.blake2bText) assert.equal(blake2b(Buffer.from(text), 8).toString('hex'), hex, text);
  for (const length of [0, 65, 1.5]) assert.throws(() => blake2b(Buffer.alloc(1), length), { code: 'ERR_INVALID_ARGUMENT' });
});

for (const { name, target, env, candidates, orders } of vectors.orders) {
  test(`orders: ${name}`, async () => {
    // As decoded from the wire: what is absent stays absent.
    const refs = candidates.map((candidate) =>
      SourceInstanceRef.decode(SourceInstanceRef.encode(SourceInstanceRef.fromPartial({ ...candidate })).finish()),
    );
    const { selector: _, ...settings } = await environmentSelection({ DYN_TOPOLOGY_MOUNT_PATH: '/nonexistent', ...env });
    for (const [selector, expected] of Object.entries(orders)) {
      const ordered = selectorOf(selector, settings).order(refs, target);
      assert.deepEqual(
        ordered.map((ref) => refs.indexOf(ref)),
        expected,
        selector,
      );
    }
  });
}

test('accelerators', () => {
  const { sourceTypes, kinds, rows } = vectors.accelerators;
  for (const { target, source, compatible } of rows) {
    const ours = sourceTypes.flatMap((mxSourceType) =>
      kinds.flatMap((kind) =>
        (['defer', 'refuse'] as const).map((unknown) => acceleratorsCompatible(target, source, { ...kind, mxSourceType }, unknown)),
      ),
    );
    assert.equal(ours.map((yes) => (yes ? '1' : '0')).join(''), compatible, `"${target}" from "${source}"`);
  }
});

test('topologies and levels', async () => {
  for (const { env, topology } of vectors.topologies) {
    const ours = await localTopology({ MX_P2P_TOPOLOGY: env });
    assert.deepEqual(Object.entries(ours).sort(), Object.entries(topology).sort(), env);
  }
  for (const { env, levels } of vectors.levels) assert.deepEqual(topologyLevels({ MX_P2P_TOPOLOGY_LEVELS: env }), levels, env);
});
