import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ArtifactSourceMetadata, type TensorDescriptor, TensorSourceMetadata, WorkerMetadata } from '#src/gen/model_express/p2p.js';
import { parseWorker, renderWorker } from '#src/metadata/wire/worker.js';
import { decodeWorker, encodeWorker } from '#src/metadata/wire/worker-codec.js';
import { encodeWorkerMessage, INITIALIZING, READY, tensor, tensors, worker } from './support.js';

/** What a reader gets of what a publisher sent. */
function through(message: Buffer): WorkerMetadata {
  return WorkerMetadata.decode(Buffer.concat(renderWorker(parseWorker(message))));
}

const uint64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const descriptors: fc.Arbitrary<TensorDescriptor[]> = fc.array(
  fc.record(
    { name: fc.string({ unit: 'grapheme' }), addr: uint64, size: uint64, deviceId: fc.nat(), dtype: fc.string() },
    { noNullPrototype: true },
  ),
);

describe('a stored worker', () => {
  it('gives both lists to readers, whichever was published', () => {
    fc.assert(
      fc.property(descriptors, fc.boolean(), (list, legacy) => {
        const source = { $case: 'tensorSource', value: { tensors: list } } as const;
        const read = through(encodeWorkerMessage(legacy ? { tensors: list } : { sourcePayload: source }));
        assert.deepEqual(read.tensors, list);
        assert.deepEqual(read.sourcePayload, source);
      }),
    );
  });

  it('keeps every other field', () => {
    const published = worker({
      workerRank: 4_294_967_295,
      status: READY,
      updatedAt: 1_700_000_000_123n,
      metadataEndpoint: '10.0.0.1:5555',
      agentName: 'agent',
      workerGrpcEndpoint: '10.0.0.1:6555',
      accelerator: 'cuda',
      topology: { rack: 'r1', host: 'h' },
      backendMetadata: { $case: 'transferEngineSessionId', value: '10.0.0.1:15000' },
      tensors: [tensor(0)],
      sourcePayload: { $case: 'tensorSource', value: { tensors: [tensor(0)] } },
    });
    assert.deepEqual(through(Buffer.from(WorkerMetadata.encode(published).finish())), published);
  });

  it('prefers tensor_source, even an empty one, over the older list', () => {
    const read = through(
      encodeWorkerMessage({ tensors: tensors(3), sourcePayload: { $case: 'tensorSource', value: { tensors: [tensor(9)] } } }),
    );
    assert.deepEqual(read.tensors, [tensor(9)]);
    const empty = through(encodeWorkerMessage({ tensors: tensors(3), sourcePayload: { $case: 'tensorSource', value: { tensors: [] } } }));
    assert.deepEqual([empty.tensors, empty.sourcePayload], [[], { $case: 'tensorSource', value: { tensors: [] } }]);
  });

  it('has a tensor_source that is present although it published nothing', () => {
    assert.deepEqual(through(encodeWorkerMessage({})).sourcePayload, { $case: 'tensorSource', value: { tensors: [] } });
  });

  it('with an artifact has no tensors', () => {
    const artifact = { artifactId: 'a', totalSize: (1n << 64n) - 1n, fileCount: 1, chunkCount: 2, nodeRank: 3 };
    const payload = { $case: 'artifactSource', value: artifact } as const;
    const read = through(encodeWorkerMessage({ tensors: tensors(2), sourcePayload: payload }));
    assert.deepEqual([read.tensors, read.sourcePayload], [[], payload]);
    const empty = through(encodeWorkerMessage({ sourcePayload: { $case: 'artifactSource', value: ArtifactSourceMetadata.create() } }));
    assert.equal(empty.sourcePayload?.$case, 'artifactSource');
  });

  it('keeps an empty member of backend_metadata', () => {
    const nixl = { $case: 'nixlMetadata', value: Buffer.alloc(0) } as const;
    assert.deepEqual(through(encodeWorkerMessage({ backendMetadata: nixl })).backendMetadata, nixl);
    const session = { $case: 'transferEngineSessionId', value: '' } as const;
    assert.deepEqual(through(encodeWorkerMessage({ backendMetadata: session })).backendMetadata, session);
    assert.equal(through(encodeWorkerMessage({})).backendMetadata, undefined);
  });

  it('follows protobuf where fields are repeated: the last scalar and member, merged messages', () => {
    const message = Buffer.concat([
      encodeWorkerMessage({
        workerRank: 1,
        status: INITIALIZING,
        backendMetadata: { $case: 'nixlMetadata', value: Buffer.from('superseded') },
      }),
      encodeWorkerMessage({ sourcePayload: { $case: 'tensorSource', value: { tensors: [tensor(1)] } } }),
      encodeWorkerMessage({ workerRank: 2, status: READY, backendMetadata: { $case: 'transferEngineSessionId', value: 's' } }),
      encodeWorkerMessage({ sourcePayload: { $case: 'tensorSource', value: { tensors: [tensor(2)] } } }),
    ]);
    assert.ok(!parseWorker(message).envelope.includes('superseded'));
    const read = through(message);
    assert.deepEqual(read.tensors, [tensor(1), tensor(2)]);
    assert.deepEqual(read.sourcePayload, { $case: 'tensorSource', value: { tensors: [tensor(1), tensor(2)] } });
    assert.deepEqual([read.workerRank, read.status], [2, 2]);
    assert.deepEqual(read.backendMetadata, { $case: 'transferEngineSessionId', value: 's' });
  });

  it('passes fields of later versions on, and drops known fields of a wrong type', () => {
    const later = Buffer.from([0xfa, 0x07, 0x02, 0x68, 0x69]); // field 127, "hi"
    const mistyped = Buffer.from([0x48, 0x05]); // field 9, a string, as a number
    const record = parseWorker(Buffer.concat([encodeWorkerMessage({ workerRank: 3 }), later, mistyped]));
    assert.ok(record.envelope.includes(later));
    assert.equal(record.workerRank, 3);
    assert.equal(record.accelerator, '');
    assert.ok(!record.envelope.includes(mistyped));
  });

  it('reads tags and lengths that are written longer than needed', () => {
    const entry = Buffer.from([0x9a, 0x00, 0x83, 0x00, 0x0a, 0x01, 0x78]); // field 3, length 3: { name: "x" }
    const read = through(entry);
    assert.deepEqual(read.tensors, [{ name: 'x', addr: 0n, size: 0n, deviceId: 0, dtype: '' }]);
  });

  it('refuses what is no message, and survives any bytes', () => {
    assert.throws(() => parseWorker(Buffer.from([0x1a, 0xff])), RangeError);
    assert.throws(() => parseWorker(Buffer.from([0x00])), /illegal tag/);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          renderWorker(parseWorker(Buffer.from(bytes)));
        } catch (error) {
          assert.ok(error instanceof Error);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a worker of a client', () => {
  it('is encoded as the generated code does, more than one batch included', async () => {
    const list = tensors(9000);
    const both = worker({ workerRank: 1, tensors: list, sourcePayload: { $case: 'tensorSource', value: { tensors: list } } });
    assert.deepEqual(WorkerMetadata.decode(Buffer.concat(await encodeWorker(both))), both);
    const other = worker({ tensors: tensors(1), sourcePayload: { $case: 'tensorSource', value: { tensors: list } } });
    assert.deepEqual(WorkerMetadata.decode(Buffer.concat(await encodeWorker(other))), other);
    const legacy = worker({ tensors: list });
    assert.deepEqual(WorkerMetadata.decode(Buffer.concat(await encodeWorker(legacy))), legacy);
  });

  it('is decoded whichever list the server filled, order and values kept', async () => {
    const list = tensors(9000);
    for (const fields of [{ tensors: list }, { sourcePayload: { $case: 'tensorSource', value: { tensors: list } } as const }]) {
      const read = await decodeWorker(encodeWorkerMessage({ ...fields, status: READY, updatedAt: 5n, accelerator: 'cuda' }));
      assert.deepEqual(read.tensors, list);
      assert.equal(read.sourcePayload?.$case === 'tensorSource' && read.sourcePayload.value.tensors, read.tensors);
      assert.deepEqual([read.status, read.updatedAt, read.accelerator], [2, 5n, 'cuda']);
    }
  });

  it('is decoded with its artifact', async () => {
    const payload = { $case: 'artifactSource', value: { ...ArtifactSourceMetadata.create(), artifactId: 'a' } } as const;
    const read = await decodeWorker(encodeWorkerMessage({ sourcePayload: payload }));
    assert.deepEqual([read.sourcePayload, read.tensors], [payload, []]);
  });

  it('keeps TensorSourceMetadata the canonical form', () => {
    const { payload } = parseWorker(encodeWorkerMessage({ tensors: tensors(5) }));
    assert.ok(payload.kind === 'tensors');
    assert.equal(payload.count, 5);
    assert.deepEqual(TensorSourceMetadata.decode(payload.entries).tensors, tensors(5));
  });
});
