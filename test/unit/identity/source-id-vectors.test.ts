import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { canonicalJson, mxSourceId, pythonCanonicalJson, pythonMxSourceId, type SourceIdentity } from '#src/identity/index.js';

interface Vector {
  readonly name: string;
  readonly identity: Record<string, unknown>;
  readonly canonical_json: string;
  readonly mx_source_id: string;
  readonly python_local_canonical_json?: string;
  readonly python_local_mx_source_id?: string;
}

// The compiled test lies four folders below the root, in build/.
const file = new URL('../../../../test/unit/identity/source-id-vectors.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vector[];

function toIdentity(fields: Record<string, unknown>): Partial<SourceIdentity> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()), value]),
  );
}

describe('source id vectors', () => {
  it('are all there', () => {
    assert.equal(vectors.length, 13);
    assert.ok(vectors.some((vector) => vector.python_local_mx_source_id !== undefined));
  });

  for (const vector of vectors) {
    it(vector.name, () => {
      const identity = toIdentity(vector.identity);
      assert.equal(canonicalJson(identity), vector.canonical_json);
      assert.equal(mxSourceId(identity), vector.mx_source_id);
      assert.equal(pythonCanonicalJson(identity), vector.python_local_canonical_json ?? vector.canonical_json);
      assert.equal(pythonMxSourceId(identity), vector.python_local_mx_source_id ?? vector.mx_source_id);
    });
  }
});
