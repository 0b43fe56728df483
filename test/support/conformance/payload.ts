/** What a worker published comes back as it went, through whatever stores it. */
import assert from 'node:assert/strict';
import {
  ArtifactSourceMetadata,
  BackendFramework,
  GetMetadataResponse,
  SourceIdentity,
  type TensorDescriptor,
  WorkerMetadata,
} from '#src/gen/model_express/p2p.js';
import { completeIdentity, mxSourceId } from '#src/identity/index.js';
import { subMessage } from '#src/metadata/wire/fields.js';
import { identity, lengthDelimited, READY, tensor, tensors, withParameters, worker } from '../p2p-messages.js';
import type { Peer } from '../p2p-calls.js';
import type { Case } from './case.js';

const largest = (1n << 64n) - 1n;

const source = (list: TensorDescriptor[]) => ({ $case: 'tensorSource', value: { tensors: list } }) as const;

async function through(peer: Peer, fields: Partial<WorkerMetadata>): Promise<WorkerMetadata | undefined> {
  return (await peer.get(await peer.publish('w', fields), 'w')).worker;
}

export const payloadCases: readonly Case[] = [
  [
    'gives both lists of tensors, whichever was published; of two the newer wins, even an empty one',
    async (peer) => {
      for (const [fields, expected] of [
        [{ tensors: tensors(3) }, tensors(3)],
        [{ sourcePayload: source(tensors(2)) }, tensors(2)],
        [{ tensors: tensors(3), sourcePayload: source([tensor(9)]) }, [tensor(9)]],
        [{ tensors: tensors(3), sourcePayload: source([]) }, []],
        [{}, []],
      ] as const) {
        const read = await through(peer, fields);
        assert.deepEqual(read?.tensors, expected);
        assert.deepEqual(read.sourcePayload, source([...expected]));
      }
    },
  ],
  [
    'gives an artifact alone, its numbers exact, also an empty one',
    async (peer) => {
      const full = { artifactId: 'sha', totalSize: largest, fileCount: 4_294_967_295, chunkCount: 2, nodeRank: 3 };
      for (const value of [full, ArtifactSourceMetadata.create()]) {
        const read = await through(peer, { tensors: tensors(2), sourcePayload: { $case: 'artifactSource', value } });
        assert.deepEqual([read?.tensors, read?.sourcePayload], [[], { $case: 'artifactSource', value }]);
      }
    },
  ],
  [
    'keeps the kind of backend metadata, present but empty included',
    async (peer) => {
      const bytes = Buffer.from(Array.from({ length: 300 }, (_, index) => index % 256));
      for (const backendMetadata of [
        { $case: 'nixlMetadata', value: bytes },
        { $case: 'nixlMetadata', value: Buffer.alloc(0) },
        { $case: 'transferEngineSessionId', value: '10.0.0.1:15000' },
        { $case: 'transferEngineSessionId', value: '' },
        undefined,
      ] as const) {
        assert.deepEqual((await through(peer, { backendMetadata }))?.backendMetadata, backendMetadata);
      }
    },
  ],
  [
    'keeps ninety megabytes of one agent',
    async (peer) => {
      const value = Buffer.alloc(90 * 1024 * 1024, 'agent');
      const read = (await through(peer, { backendMetadata: { $case: 'nixlMetadata', value } }))?.backendMetadata;
      assert.ok(read?.$case === 'nixlMetadata' && value.equals(read.value));
    },
  ],
  [
    'keeps every other field of a worker, the largest numbers and any text',
    async (peer) => {
      const descriptor = { name: 'größe "\\ \u0001 日本 🚀', addr: largest, size: largest, deviceId: 4_294_967_295, dtype: '' };
      const published = worker({
        workerRank: 4_294_967_295,
        status: READY,
        updatedAt: 1_700_000_000_123n,
        metadataEndpoint: '10.0.0.1:5555',
        agentName: 'agent "ä"',
        workerGrpcEndpoint: '[fe80::1]:6555',
        accelerator: 'cuda',
        topology: { rack: 'r1', host: 'h', '': 'empty', zöne: '日' },
        backendMetadata: { $case: 'transferEngineSessionId', value: '10.0.0.1:15000' },
        tensors: [descriptor, tensor(1)],
        sourcePayload: source([descriptor, tensor(1)]),
      });
      assert.deepEqual(await through(peer, published), published);
    },
  ],
  [
    'keeps every field of an identity, unknown enum numbers included',
    async (peer) => {
      const published = completeIdentity({
        mxVersion: '0.7.0',
        mxSourceType: 42 as never,
        modelName: 'Größe/日本',
        backendFramework: BackendFramework.UNRECOGNIZED,
        tensorParallelSize: 4_294_967_295,
        pipelineParallelSize: 2,
        expertParallelSize: 3,
        dtype: 'BF16',
        quantization: 'FP8',
        extraParameters: { Key: 'Välue', '10': 'ten', training_step: '7' },
        revision: 'r',
        backendFrameworkVersion: '1',
        torchVersion: '2',
        cudaVersion: '3',
        tritonVersion: '4',
        gpuArch: 'sm90',
        compileConfigDigest: 'd',
      });
      const id = await peer.publish('w', {}, published);
      assert.equal(id, mxSourceId(published));
      assert.deepEqual((await peer.get(id, 'w')).identity, published);
    },
  ],
  [
    'keeps fields of later versions, of the identity and of the worker',
    async (peer) => {
      const later = lengthDelimited(127, Buffer.from('later'));
      const encodedIdentity = Buffer.from(SourceIdentity.encode(identity).finish());
      const encodedWorker = Buffer.from(WorkerMetadata.encode(worker({ tensors: tensors(2), agentName: 'a' })).finish());
      const request = [
        lengthDelimited(1, Buffer.concat([encodedIdentity, later])),
        lengthDelimited(2, Buffer.concat([encodedWorker, later])),
        lengthDelimited(3, Buffer.from('w')),
      ];
      const { mxSourceId: id, message } = await peer.calls.publish(Buffer.concat(request));
      assert.equal(id, mxSourceId(identity), message);
      const reply = Buffer.from(await peer.calls.get({ mxSourceId: id, workerId: 'w' }));
      for (const [name, field] of [
        ['worker', 2],
        ['identity', 5],
      ] as const) {
        const kept = subMessage(subMessage(reply, field) ?? Buffer.alloc(0), 127);
        assert.equal(kept?.toString(), 'later', `of the ${name}`);
      }
      assert.deepEqual(GetMetadataResponse.decode(reply).worker?.tensors, tensors(2));
    },
  ],
  [
    'derives training step and layout signature from the parameters',
    async (peer) => {
      const expected: [string, Record<string, string>, bigint | undefined, string | undefined][] = [
        ['none', {}, undefined, undefined],
        ['zero', { training_step: '0', layout_signature: 'L' }, 0n, 'L'],
        ['both', { training_step: '5', version: '100' }, 5n, undefined],
        ['version', { version: '+7', layout_signature: '' }, 7n, undefined],
        ['broken', { training_step: 'x', version: '100' }, undefined, undefined],
        ['empty', { training_step: '', version: '1' }, undefined, undefined],
        ['space', { training_step: ' 1' }, undefined, undefined],
        ['largest', { training_step: String(largest) }, largest, undefined],
        ['larger', { training_step: String(largest + 1n) }, undefined, undefined],
        ['case', { Training_Step: '4', Layout_signature: 'X' }, undefined, undefined],
      ];
      for (const [workerId, parameters] of expected) await peer.publish(workerId, {}, withParameters(parameters));
      const references = new Map((await peer.list()).map((reference) => [reference.workerId, reference]));
      for (const [workerId, , step, signature] of expected) {
        const { trainingStep, layoutSignature } = references.get(workerId) ?? {};
        assert.deepEqual([trainingStep, layoutSignature], [step, signature], workerId);
      }
      assert.deepEqual((await peer.ids({ minTrainingStep: 0n })).sort(), ['both', 'largest', 'version', 'zero']);
      assert.deepEqual((await peer.ids({ minTrainingStep: 6n })).sort(), ['largest', 'version']);
      assert.deepEqual(await peer.ids({ minTrainingStep: largest }), ['largest']);
    },
  ],
  [
    'keeps 5 000 tensors and their order',
    async (peer) => {
      const read = await through(peer, { sourcePayload: source(tensors(5000)) });
      assert.deepEqual(read?.tensors, tensors(5000));
      assert.deepEqual(read.sourcePayload, source(tensors(5000)));
    },
  ],
];
