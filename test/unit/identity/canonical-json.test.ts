import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SourceIdentity } from '#src/gen/model_express/p2p.js';
import { canonicalJson, completeIdentity, decodeIdentity, mxSourceId, pythonCanonicalJson, pythonMxSourceId } from '#src/identity/index.js';

const text = fc.string({ unit: 'binary' });
const ascii = fc.string({ unit: 'binary-ascii' }).map((value) => value.replaceAll('\u007f', '~'));

/** A number of an enum that may not be known here. */
const unknown = (number: number): never => number as never;

const identities = (strings: fc.Arbitrary<string>): fc.Arbitrary<SourceIdentity> =>
  fc
    .record({
      mxVersion: strings,
      mxSourceType: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map(unknown),
      modelName: strings,
      tensorParallelSize: fc.nat(2 ** 32 - 1),
      revision: strings,
      torchVersion: strings,
      gpuArch: strings,
      extraParameters: fc.dictionary(strings, strings),
    })
    .map((fields) => completeIdentity(fields));

describe('canonical JSON', () => {
  it('is JSON with ascending keys, whatever the identity', () => {
    fc.assert(
      fc.property(identities(text), (identity) => {
        const keys = [...canonicalJson(identity).matchAll(/[{,]"([a-z_]+)":/g)].map((match) => match[1]);
        const parsed = JSON.parse(canonicalJson(identity)) as Record<string, unknown>;
        const names = Object.keys(parsed);
        assert.deepEqual(names, [...names].sort());
        assert.ok(names.every((name) => keys.includes(name)));
        assert.equal(parsed['tensor_parallel_size'], identity.tensorParallelSize);
        assert.equal(parsed['model_name'], identity.modelName.toLowerCase());
        assert.equal('gpu_arch' in parsed, identity.gpuArch !== '');
      }),
    );
  });

  it('of ASCII identities is the same for the server and for Python', () => {
    fc.assert(
      fc.property(identities(ascii), (identity) => {
        assert.equal(pythonCanonicalJson(identity), canonicalJson(identity));
        assert.equal(pythonMxSourceId(identity), mxSourceId(identity));
      }),
    );
  });

  it('of Python is pure ASCII and says the same', () => {
    fc.assert(
      fc.property(identities(text), (identity) => {
        const python = pythonCanonicalJson(identity);
        assert.match(python, /^[\u0020-\u007e]*$/);
        assert.deepEqual(JSON.parse(python), JSON.parse(canonicalJson(identity)));
      }),
    );
  });

  it('does not depend on the order of extra parameters', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(text, text), { selector: ([key]) => key }), (entries) => {
        const forwards = mxSourceId({ extraParameters: Object.fromEntries(entries) });
        const backwards = mxSourceId({ extraParameters: Object.fromEntries(entries.reverse()) });
        assert.equal(backwards, forwards);
      }),
    );
  });

  it('takes absent and undefined fields for defaults', () => {
    const undefinedFields = { modelName: 'm', revision: undefined } as unknown as Partial<SourceIdentity>;
    assert.equal(mxSourceId(undefinedFields), mxSourceId({ modelName: 'm', dtype: '', extraParameters: {} }));
    assert.match(mxSourceId({}), /^[0-9a-f]{16}$/);
  });

  it('tells identities apart', () => {
    const base = { modelName: 'm', tensorParallelSize: 8 };
    const variants = [
      {},
      { tensorParallelSize: 4 },
      { revision: 'x' },
      { torchVersion: '2' },
      { mxSourceType: unknown(4) },
      { dtype: 'fp8' },
    ];
    assert.equal(new Set(variants.map((variant) => mxSourceId({ ...base, ...variant }))).size, variants.length);
    assert.equal(mxSourceId({ ...base, modelName: 'M' }), mxSourceId(base));
  });
});

describe('an identity from the wire', () => {
  it('has the id that it had before', () => {
    fc.assert(
      fc.property(identities(text), (identity) => {
        const bytes = Buffer.from(SourceIdentity.encode(identity).finish());
        assert.equal(mxSourceId(decodeIdentity(bytes)), mxSourceId(identity));
      }),
    );
  });

  it('keeps a parameter of the name __proto__', () => {
    const extraParameters = JSON.parse('{"__proto__":"p","a":"b"}') as Record<string, string>;
    const identity = completeIdentity({ modelName: 'm', extraParameters });
    const decoded = decodeIdentity(Buffer.from(SourceIdentity.encode(identity).finish()));
    assert.deepEqual(Object.entries(decoded.extraParameters).sort(), [
      ['__proto__', 'p'],
      ['a', 'b'],
    ]);
    assert.equal(mxSourceId(decoded), mxSourceId(identity));
    assert.notEqual(mxSourceId(decoded), mxSourceId({ modelName: 'm', extraParameters: { a: 'b' } }));
  });

  it('keeps numbers of enums that are not known here', () => {
    const identity = completeIdentity({ modelName: 'm', mxSourceType: unknown(42), backendFramework: unknown(-1) });
    const decoded = decodeIdentity(Buffer.from(SourceIdentity.encode(identity).finish()));
    assert.deepEqual([decoded.mxSourceType, decoded.backendFramework], [42, -1]);
  });
});
