import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SourceIdentity, type SourceStatus, type TensorDescriptor, WorkerMetadata } from '#src/gen/model_express/p2p.js';
import { completeIdentity, decodeIdentity } from '#src/identity/index.js';
import { sourceAttributes } from '#src/metadata/server/semantics/attributes.js';
import { decodeAttributes, encodeAttributes } from '#src/metadata/stores/redis/attributes-json.js';
import { floatJson } from '#src/metadata/stores/redis/numbers.js';
import { decodeRecord, encodeRecord } from '#src/metadata/stores/redis/record-json.js';
import { decodeSummary, encodeSummary, legacyRank } from '#src/metadata/stores/redis/summary-json.js';
import { renderWorker, parseWorker } from '#src/metadata/wire/worker.js';
import { worker } from '../../support/p2p-messages.js';

const uint32 = fc.nat(0xffff_ffff);
const text = fc.string({ unit: 'grapheme' });
const map = fc.dictionary(
  text.filter((key) => key !== '__proto__'),
  text,
  { noNullPrototype: true },
);
const uint64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const int64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
const status = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }).map((number): unknown => number) as fc.Arbitrary<SourceStatus>;

const tensor: fc.Arbitrary<TensorDescriptor> = fc.record({ name: text, addr: uint64, size: uint64, deviceId: uint32, dtype: text });

const backend: fc.Arbitrary<WorkerMetadata['backendMetadata']> = fc.oneof(
  fc.constant(undefined),
  fc.uint8Array().map((bytes) => ({ $case: 'nixlMetadata' as const, value: Buffer.from(bytes) })),
  text.map((value) => ({ $case: 'transferEngineSessionId' as const, value })),
);

const source: fc.Arbitrary<WorkerMetadata['sourcePayload']> = fc.oneof(
  fc.array(tensor).map((tensors) => ({ $case: 'tensorSource' as const, value: { tensors } })),
  fc
    .record({ artifactId: text, totalSize: uint64, fileCount: uint32, chunkCount: uint32, nodeRank: uint32 })
    .map((value) => ({ $case: 'artifactSource' as const, value })),
);

const workers = fc.record({
  workerRank: uint32,
  backendMetadata: backend,
  status,
  updatedAt: int64,
  metadataEndpoint: text,
  agentName: text,
  workerGrpcEndpoint: text,
  accelerator: text,
  topology: map,
  sourcePayload: source,
});

const encode = (fields: Partial<WorkerMetadata>): Buffer => Buffer.from(WorkerMetadata.encode(worker(fields)).finish());

describe('records in Redis', () => {
  it('come back as they were published', async () => {
    await fc.assert(
      fc.asyncProperty(workers, async (fields) => {
        const record = parseWorker(encode(fields));
        const json = await encodeRecord(record);
        JSON.parse(json.toString());
        const back = await decodeRecord(json.toString());
        const answer = WorkerMetadata.decode(Buffer.concat(renderWorker(back)));
        assert.deepEqual(answer, WorkerMetadata.decode(Buffer.concat(renderWorker(record))));
        assert.deepEqual(back.payload, record.payload);
        assert.deepEqual(await encodeRecord(back), json);
      }),
    );
  });

  it('are coded in batches, with other work in between', async () => {
    const tensors = Array.from({ length: 20_000 }, (_, index) => ({
      name: `layer.${String(index)}`,
      addr: BigInt(index),
      size: 1n,
      deviceId: 0,
      dtype: 'F32',
    }));
    const nixl = Buffer.alloc(1_000_000, 200);
    const record = parseWorker(
      encode({ backendMetadata: { $case: 'nixlMetadata', value: nixl }, sourcePayload: { $case: 'tensorSource', value: { tensors } } }),
    );
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const json = await encodeRecord(record);
    const afterEncoding = turns;
    const back = await decodeRecord(json.toString());
    clearInterval(timer);
    assert.ok(afterEncoding > 2 && turns - afterEncoding > 2, `${String(afterEncoding)} of ${String(turns)} turns`);
    assert.deepEqual(back.payload, record.payload);
    assert.deepEqual(WorkerMetadata.decode(back.envelope).backendMetadata, { $case: 'nixlMetadata', value: nixl });
  });

  it('say what they lack', async () => {
    await assert.rejects(decodeRecord('{"tensors":[]}'), /lacks worker_rank or tensors/);
    await assert.rejects(decodeRecord('{"worker_rank":0}'), /lacks worker_rank or tensors/);
    await assert.rejects(decodeRecord('{"worker_rank":0,"tensors":[{"name":"a"}]}'), /a tensor lacks/);
    await assert.rejects(decodeRecord('{"worker_rank":0,"tensors":[],"artifact_source":{}}'), /the artifact source lacks/);
    await assert.rejects(decodeRecord('{"worker_rank":0,"tensors":[],"weightcast_unknown_fields":"CP8="}'));
    await assert.rejects(decodeRecord('{"worker_rank":0,"tensors":[]} x'), /expected the end/);
  });
});

describe('summaries in Redis', () => {
  it('come back as they were written', () => {
    const load = fc.option(fc.float({ noNaN: true, noDefaultInfinity: true }), { nil: undefined });
    fc.assert(
      fc.property(uint32, status, int64, text, load, map, (workerRank, state, updatedAt, accelerator, sourceLoad, topology) => {
        const summary = { workerRank, status: state, updatedAt, accelerator, sourceLoad, topology };
        const back = decodeSummary(encodeSummary(summary));
        assert.ok(back);
        assert.deepEqual({ ...back, topology: { ...back.topology } }, { ...summary, topology: { ...topology } });
      }),
    );
  });

  it('need three members; what lacks one names rank 0, or is a rank', () => {
    for (const damaged of [
      '{"worker_rank":1,"status":2}',
      '{"worker_rank":1.0,"status":2,"updated_at":3}',
      '7',
      '',
      'null',
      '{"worker_rank":1',
    ]) {
      assert.equal(decodeSummary(damaged), undefined, damaged);
    }
    assert.deepEqual(
      ['7', '4294967295', '4294967296', '-1', '1.5', '', 'x', '{"worker_rank":1,"status":2}'].map(legacyRank),
      [7, 4294967295, 0, 0, 0, 0, 0, 0],
    );
  });

  it('write loads in the digits of 32-bit floats', () => {
    const loads: [number | undefined, string][] = [
      [undefined, 'null'],
      [0, '0.0'],
      [-0, '-0.0'],
      [1, '1.0'],
      [Math.fround(0.1), '0.1'],
      [Math.fround(0.7), '0.7'],
      [Math.fround(1 / 3), '0.33333334'],
      [Math.fround(1e-7), '1e-7'],
      [Math.fround(3.4028235e38), '3.4028235e38'],
      [16777216, '16777216.0'],
      [NaN, 'null'],
      [Infinity, 'null'],
    ];
    for (const [load, expected] of loads) assert.equal(floatJson(load), expected);
  });
});

describe('attributes in Redis', () => {
  it('come back as they were published', () => {
    fc.assert(
      fc.property(text, map, uint32, status, (modelName, extraParameters, size, sourceType) => {
        const mxSourceType = sourceType as unknown as SourceIdentity['mxSourceType'];
        const identity = completeIdentity({ modelName, extraParameters, tensorParallelSize: size, mxSourceType, gpuArch: modelName });
        const encoded = Buffer.from(SourceIdentity.encode(identity).finish());
        const back = decodeAttributes(encodeAttributes(sourceAttributes(identity, encoded)));
        assert.ok(back);
        assert.deepEqual(decodeIdentity(back.identity), decodeIdentity(encoded));
      }),
    );
  });

  it('keep the parameter __proto__, and the step that it stands beside', () => {
    const encoded = Buffer.from(
      SourceIdentity.encode(
        completeIdentity({ modelName: 'm', extraParameters: JSON.parse('{"__proto__":"x","version":"3"}') as Record<string, string> }),
      ).finish(),
    );
    const json = encodeAttributes(sourceAttributes(decodeIdentity(encoded), encoded));
    assert.ok(json.includes('"extra_parameters":{"__proto__":"x","version":"3"}'));
    const back = decodeAttributes(json);
    assert.ok(back);
    assert.equal(back.trainingStep, 3n);
    assert.ok(Object.hasOwn(decodeIdentity(back.identity).extraParameters, '__proto__'));
  });

  it('need the name of the model', () => {
    assert.equal(decodeAttributes('{"mx_version":"1"}'), undefined);
    assert.equal(decodeAttributes('{"model_name":7}'), undefined);
    assert.equal(decodeAttributes('{"model_name":"m","tensor_parallel_size":-1}'), undefined);
    assert.equal(decodeAttributes('{"later":[1,{}],"model_name":"m"}')?.modelName, 'm');
  });
});
