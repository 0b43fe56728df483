/** PublishMetadata: refusals, answers, and what replaces what. */
import assert from 'node:assert/strict';
import { completeIdentity, mxSourceId } from '#src/identity/index.js';
import { identity, publishRequest, READY, tensors, UNKNOWN, unknownStatuses, withParameters, worker } from '../p2p-messages.js';
import type { Case } from './case.js';

const refused = (message: string): object => ({ success: false, message, mxSourceId: '', workerId: '' });

const artifact = {
  $case: 'artifactSource',
  value: { artifactId: 'a', totalSize: 1n, fileCount: 1, chunkCount: 1, nodeRank: 0 },
} as const;

export const publishCases: readonly Case[] = [
  [
    'refuses what is incomplete, in this order, and stores nothing of it',
    async (peer) => {
      const noModel = completeIdentity({ dtype: 'x' });
      const publish = (fields: Parameters<typeof publishRequest>[0]): Promise<object> => peer.calls.publish(publishRequest(fields));
      assert.deepEqual(await publish({}), refused('identity is required'));
      assert.deepEqual(await publish({ identity: noModel }), refused('identity.model_name is required'));
      assert.deepEqual(await publish({ identity }), refused('worker_id is required'));
      assert.deepEqual(await publish({ identity, workerId: 'w' }), refused('worker is required'));
      assert.deepEqual(await peer.list(), []);
    },
  ],
  [
    'refuses the worker id that stands for the attributes of a source',
    async (peer) => {
      const reply = await peer.calls.publish(publishRequest({ identity, workerId: '__attributes__', worker: worker() }));
      assert.match(reply.message, /^Failed to publish metadata: .*__attributes__/);
      assert.deepEqual(reply, refused(reply.message));
      assert.deepEqual(await peer.list(), []);
    },
  ],
  [
    'answers with the id, the worker and the count of tensors',
    async ({ calls }) => {
      const id = mxSourceId(identity);
      const source = { $case: 'tensorSource', value: { tensors: tensors(2) } } as const;
      for (const [count, fields] of [
        [2, { sourcePayload: source, tensors: tensors(3) }],
        [3, { tensors: tensors(3) }],
        [0, { sourcePayload: artifact, tensors: tensors(3) }],
        [0, {}],
      ] as const) {
        const published = worker({ workerRank: 7, ...fields });
        const said = `Published metadata for 'Test/Model' (source_id=${id}, worker_id=w, worker_rank=7, ${String(count)} tensors)`;
        const expected = { success: true, message: said, mxSourceId: id, workerId: 'w' };
        assert.deepEqual(await calls.publish(publishRequest({ identity, workerId: 'w', worker: published })), expected);
      }
    },
  ],
  [
    'ignores the pod, which matters to Kubernetes only',
    async ({ calls }) => {
      const pod = { podName: 'p', podUid: 'u', podNamespace: 'n' };
      assert.equal((await calls.publish(publishRequest({ identity, workerId: 'w', worker: worker(), ...pod }))).success, true);
    },
  ],
  [
    'stores status and time exactly as sent, unknown numbers and negative times too',
    async (peer) => {
      for (const [status = UNKNOWN, updatedAt] of [
        [unknownStatuses(99)[0], -5n],
        [unknownStatuses(-1)[0], 0n],
        [READY, (1n << 63n) - 1n],
        [READY, -(1n << 63n)],
        [READY, (1n << 53n) + 1n],
      ] as const) {
        const id = await peer.publish('w', { status, updatedAt });
        const { worker: read } = await peer.get(id, 'w');
        assert.deepEqual([read?.status, read?.updatedAt], [status, updatedAt]);
        assert.deepEqual(
          (await peer.list()).map((reference) => reference.updatedAt),
          [updatedAt],
        );
      }
    },
  ],
  [
    'replaces the record of a rank as a whole: nothing of the older one is left',
    async (peer) => {
      const older = { agentName: 'first', accelerator: 'cuda', topology: { rack: 'r' }, tensors: tensors(3), status: READY, updatedAt: 9n };
      const id = await peer.publish('w', older, withParameters({ training_step: '3' }));
      await peer.update(id, 'w', { status: READY, sourceLoad: 0.5 });
      await peer.publish('w', { agentName: 'second' }, withParameters({ training_step: '3' }));
      const read = await peer.get(id, 'w');
      const tensorSource = { $case: 'tensorSource', value: { tensors: [] } };
      assert.deepEqual(read.worker, { ...worker({ agentName: 'second' }), sourcePayload: tensorSource });
      const [reference] = await peer.list();
      assert.deepEqual([reference?.accelerator, reference?.topology, reference?.sourceLoad, reference?.updatedAt], ['', {}, undefined, 0n]);
    },
  ],
  [
    'demotes a READY worker that publishes again',
    async (peer) => {
      const id = await peer.publish('w');
      await peer.update(id, 'w', { status: READY });
      assert.deepEqual(await peer.ids({ statusFilter: READY }), ['w']);
      await peer.publish('w');
      assert.deepEqual(await peer.ids({ statusFilter: READY }), []);
      assert.equal((await peer.get(id, 'w')).worker?.status, UNKNOWN);
      await peer.update(id, 'w', { status: READY });
      assert.deepEqual(await peer.ids({ statusFilter: READY }), ['w']);
    },
  ],
  [
    'keeps the identity that was published last, letter case included',
    async (peer) => {
      const id = await peer.publish('a');
      assert.equal(await peer.publish('b', {}, { ...identity, modelName: 'TEST/model' }), id);
      assert.equal((await peer.get(id, 'a')).identity?.modelName, 'TEST/model');
      assert.deepEqual(
        (await peer.list()).map((reference) => reference.modelName),
        ['TEST/model', 'TEST/model'],
      );
    },
  ],
  [
    'keeps several ranks of one worker: the last published represents it, the lowest is fetched',
    async (peer) => {
      const id = await peer.publish('w', { workerRank: 3, agentName: 'three', updatedAt: 5n });
      await peer.publish('w', { workerRank: 10, agentName: 'ten', accelerator: 'xpu', updatedAt: 4n });
      const shown = async (): Promise<unknown[]> =>
        (await peer.list()).map(({ workerRank, accelerator, updatedAt }) => [workerRank, accelerator, updatedAt]);
      assert.deepEqual(await shown(), [[10, 'xpu', 4n]]);
      assert.equal((await peer.get(id, 'w')).worker?.agentName, 'three');
      await peer.publish('w', { workerRank: 3, agentName: 'three again', updatedAt: 6n });
      assert.deepEqual(await shown(), [[3, '', 6n]]);
      assert.equal((await peer.get(id, 'w')).worker?.agentName, 'three again');
    },
  ],
  [
    'takes any other worker id',
    async (peer) => {
      const ids = [
        '0',
        'status:0',
        'mx:source:0:w',
        '__proto__',
        'Größe/日本語 🚀',
        ' ',
        'a\nb\u0000c',
        'x'.repeat(5000),
        '__attributes__ ',
      ];
      for (const [rank, workerId] of ids.entries()) {
        const id = await peer.publish(workerId, { workerRank: rank, agentName: workerId });
        assert.equal((await peer.update(id, workerId, { workerRank: rank, status: READY })).success, true);
        assert.equal((await peer.get(id, workerId)).worker?.agentName, workerId);
      }
      assert.deepEqual((await peer.ids({ statusFilter: READY })).sort(), [...ids].sort());
    },
  ],
  [
    'says the same of a request that repeats its parts',
    async ({ calls }) => {
      const twice = Buffer.concat([publishRequest({ identity }), publishRequest({ workerId: 'w', worker: worker({ workerRank: 2 }) })]);
      const reply = await calls.publish(twice);
      assert.equal(reply.success, true);
      assert.match(reply.message, /worker_rank=2, 0 tensors/);
    },
  ],
];
