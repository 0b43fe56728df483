import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchDescriptor } from '#src/handshake/client.js';
import { rdmaDescriptor, type SegmentDescriptor } from '#src/handshake/descriptor.js';
import { encodeFrame, MessageType } from '#src/handshake/frame.js';
import { openEndpoint, type OpenEndpointOptions } from '#src/handshake/initiator.js';
import type { JsonObject } from '#src/handshake/json.js';
import { HandshakeListener } from '#src/handshake/listener.js';
import { Responder } from '#src/handshake/responder.js';
import { fault, gidOf, NicDouble } from '../../support/nic-double.js';
import { eventually, scriptedPeer, silence, type Answer } from '../../support/raw-peer.js';

const seedName = '10.0.0.5:15428';
const localName = '10.0.0.9:15555';
const seedDevices = [
  { name: 'mlx5_0', gid: gidOf(4), lid: 0 },
  { name: 'mlx5_1', gid: gidOf(5), lid: 6 },
];
const mooncake = rdmaDescriptor({ name: seedName, devices: seedDevices });

/** What a Mooncake seed answers when it agrees: paths swapped, its numbers and GID. */
function accept(request: JsonObject, changes: JsonObject = {}): JsonObject {
  const numbers = (request['qp_num'] as number[]).map((_, index) => 800 + index);
  return {
    local_nic_path: request['peer_nic_path']!,
    peer_nic_path: request['local_nic_path']!,
    qp_num: numbers,
    reply_msg: '',
    local_gid: gidOf(55),
    local_lid: 4,
    ready_ack: false,
    payload: '',
    ...changes,
  };
}

async function setUp(
  answer: Answer,
  changes: Partial<OpenEndpointOptions> = {},
): Promise<{ nic: NicDouble; peer: Awaited<ReturnType<typeof scriptedPeer>>; options: OpenEndpointOptions }> {
  const nic = new NicDouble('rxe0', gidOf(9), { mtu: 1024 });
  const peer = await scriptedPeer(answer);
  return {
    nic,
    peer,
    options: { nic, localName, peer: mooncake, peerAddress: peer.address, remoteDevice: 'mlx5_1', queuePairs: 2, ...changes },
  };
}

const mismatch = { reply_msg: 'QP count mismatch in peer and local endpoints, check MC_MAX_EP_PER_CTX' };

describe('opening an endpoint with a Mooncake seed', () => {
  it('connects to what the reply says', async () => {
    const { nic, peer, options } = await setUp((request) => accept(request));
    const opened = await openEndpoint(options);
    assert.deepEqual([opened.localPath, opened.remotePath], [`${localName}@rxe0`, `${seedName}@mlx5_1`]);
    const [endpoint] = nic.endpoints;
    assert.equal(opened.endpoint, endpoint);
    assert.equal(endpoint?.state, 'RTS');
    assert.equal(endpoint.role, 'initiator');
    assert.equal(endpoint.sendDepth, 20);
    assert.deepEqual(endpoint.peer, { gid: gidOf(55), lid: 4, numbers: Uint32Array.of(800, 801), pathMtu: 0, maxReads: 16 });
    assert.deepEqual(peer.requests, [
      {
        type: MessageType.connection,
        body: {
          local_gid: gidOf(9),
          local_lid: 0,
          local_nic_path: `${localName}@rxe0`,
          payload: '',
          peer_nic_path: `${seedName}@mlx5_1`,
          qp_num: Array.from(endpoint.numbers),
          reply_msg: '',
          weightcast: { version: 1, max_reads: 16, mtu: 1024 },
        },
      },
    ]);
    await opened.release();
    await opened.release();
    assert.equal(endpoint.state, 'closed');
    assert.equal(peer.requests.length, 1, 'Mooncake knows no farewell');
  });

  it('takes the GID of an old seed from its descriptor, by name', async () => {
    const { nic, options } = await setUp((request) => accept(request, { local_gid: '', local_lid: 99 }));
    await openEndpoint(options);
    assert.equal(nic.endpoints[0]?.peer?.gid, gidOf(5));
    assert.equal(nic.endpoints[0].peer.lid, 6);
  });

  it('names the path by rdma_server_name and connects to the opened address', async () => {
    const { peer, options } = await setUp((request) => accept(request), { peer: { ...mooncake, rdmaServerName: 'rail-5:1' } });
    assert.equal((await openEndpoint(options)).remotePath, 'rail-5:1@mlx5_1');
    assert.equal(peer.requests[0]?.body['peer_nic_path'], 'rail-5:1@mlx5_1');
  });

  it('tries other queue pair counts, each with fresh queue pairs', async () => {
    const { nic, peer, options } = await setUp(
      (request) => ((request['qp_num'] as number[]).length === 8 ? accept(request) : { ...accept(request, mismatch), qp_num: [] }),
      { queuePairs: 3 },
    );
    const { endpoint } = await openEndpoint(options);
    assert.equal(endpoint.numbers.length, 8);
    const counts = peer.requests.map(({ body }) => (body['qp_num'] as number[]).length);
    assert.deepEqual(counts, [3, 2, 1, 4, 8]);
    assert.equal(new Set(peer.requests.flatMap(({ body }) => body['qp_num'] as number[])).size, 18);
    assert.equal(nic.open.length, 1);
  });

  it('also when the seed only answers with another number of them', async () => {
    const { nic, options } = await setUp((request) => accept(request, { qp_num: [800] }));
    assert.equal((await openEndpoint(options)).endpoint.numbers.length, 1);
    assert.equal(nic.open.length, 1);
  });

  it('which is then the next that it is asked with', async () => {
    const { peer, options } = await setUp((request) => accept(request, { qp_num: Array.from({ length: 16 }, (_, index) => 800 + index) }));
    assert.equal((await openEndpoint(options)).endpoint.numbers.length, 16);
    assert.equal(peer.requests.length, 2);
  });

  it('is over soon when the seed answers with another number every time', async () => {
    const { nic, peer, options } = await setUp((request) =>
      accept(request, { qp_num: Array.from({ length: (request['qp_num'] as number[]).length + 10 }, () => 1) }),
    );
    await assert.rejects(openEndpoint(options), {
      code: 'ERR_HANDSHAKE',
      message: /it has 12 queue pairs and not 2; tried with 2, 12, 22/,
    });
    assert.equal(peer.requests.length, 6);
    assert.equal(nic.open.length, 0);
  });

  it('tries other counts after a null, which is how old seeds refuse', async () => {
    const { nic, peer, options } = await setUp((request) => ((request['qp_num'] as number[]).length === 4 ? accept(request) : null));
    assert.equal((await openEndpoint(options)).endpoint.numbers.length, 4);
    assert.equal(peer.requests.length, 3);
    assert.equal(nic.open.length, 1);
  });

  const hopeless: [string, (request: JsonObject) => JsonObject | null, RegExp][] = [
    ['a mismatch', (request) => accept(request, { ...mismatch, qp_num: [] }), /QP count mismatch.*; tried with 2, 1, 4, 8 queue pairs/],
    ['null', () => null, /10\.0\.0\.9:15555@rxe0 -> 10\.0\.0\.5:15428@mlx5_1.*empty reply without a reason.*tried with 2, 1, 4, 8/],
    ['an empty object', () => ({}), /empty reply.*tried with 2, 1, 4, 8/],
    ['no queue pairs', (request) => accept(request, { qp_num: [] }), /empty reply.*tried with 2, 1, 4, 8/],
  ];
  for (const [what, reply, message] of hopeless) {
    it(`gives up with the first refusal and what was tried when every count gets ${what}`, async () => {
      const { nic, peer, options } = await setUp((request) => reply(request));
      await assert.rejects(openEndpoint(options), { code: 'ERR_HANDSHAKE', peer: options.peerAddress, message });
      assert.equal(peer.requests.length, 4);
      assert.equal(new Set(peer.requests.flatMap(({ body }) => body['qp_num'] as number[])).size, 15, 'fresh queue pairs each time');
      assert.equal(nic.open.length, 0);
    });
  }

  const rejections: [string, (request: JsonObject) => JsonObject, RegExp][] = [
    ['a reason', () => ({ reply_msg: 'Local RDMA context not found' }), /Local RDMA context not found/],
    [
      'paths that are not swapped',
      (request) => ({ ...accept(request), local_nic_path: request['local_nic_path']!, peer_nic_path: request['peer_nic_path']! }),
      /answered for/,
    ],
    ['another path', (request) => accept(request, { local_nic_path: 'x@y' }), /answered for "x@y"/],
  ];
  for (const [what, reply, message] of rejections) {
    it(`takes ${what} for a rejection, once, and keeps nothing`, async () => {
      const { nic, peer, options } = await setUp((request) => reply(request));
      await assert.rejects(openEndpoint(options), { code: 'ERR_HANDSHAKE', peer: options.peerAddress, message });
      assert.equal(peer.requests.length, 1);
      assert.equal(nic.open.length, 0);
    });
  }

  it('uses only devices in service', async () => {
    const { peer, options } = await setUp((request) => accept(request));
    const oneOut: SegmentDescriptor = { ...mooncake, priorityMatrix: new Map([['cpu:0', { preferred: ['mlx5_0'], others: [] }]]) };
    await assert.rejects(openEndpoint({ ...options, peer: oneOut }), {
      code: 'ERR_DEVICE_NOT_FOUND',
      message: /mlx5_1 in service; it has: mlx5_0/,
    });
    await assert.rejects(openEndpoint({ ...options, remoteDevice: 'mlx5_7' }), { code: 'ERR_DEVICE_NOT_FOUND' });
    await assert.rejects(openEndpoint({ ...options, queuePairs: 0 }), { code: 'ERR_INVALID_ARGUMENT' });
    assert.equal(peer.requests.length, 0);
  });

  it('destroys its queue pairs when the seed is slow, lost, or wrong', async () => {
    for (const [answer, code] of [
      [silence, 'ERR_STALLED'],
      [() => undefined, 'ERR_PEER_LOST'],
      [(request: JsonObject) => accept(request, { qp_num: 'x' }), 'ERR_PROTOCOL'],
    ] as [Answer, string][]) {
      const { nic, options } = await setUp(answer, { timeoutMs: 60 });
      await assert.rejects(openEndpoint(options), { code, peer: options.peerAddress });
      assert.equal(nic.endpoints.length, 1);
      assert.equal(nic.open.length, 0);
    }
  });

  it('destroys its queue pairs on abort', async () => {
    const controller = new AbortController();
    const { nic, options } = await setUp(silence, { signal: controller.signal });
    setTimeout(() => {
      controller.abort();
    }, 40);
    await assert.rejects(openEndpoint(options), { code: 'ERR_ABORTED' });
    assert.equal(nic.endpoints.length, 1);
    assert.equal(nic.open.length, 0);
    await assert.rejects(openEndpoint(options), { code: 'ERR_ABORTED' });
    assert.equal(nic.endpoints.length, 1);
  });

  it('passes on what its own device says', async () => {
    const { nic, options } = await setUp((request) => accept(request));
    nic.beforeConnect = () => Promise.reject(fault('ibv_modify_qp(RTR): EINVAL', 'VERBS', 'ibv_modify_qp'));
    await assert.rejects(openEndpoint(options), {
      code: 'ERR_VERBS',
      syscall: 'ibv_modify_qp',
      errno: 22,
      message: /rxe0.*mlx5_1.*ibv_modify_qp/,
    });
    assert.equal(nic.open.length, 0);
  });

  it('ignores keys that only newer peers know', async () => {
    const { options } = await setUp((request) => accept(request, { notify_qp_num: [5], ctrl_channel: { a: 1 }, path_mtu: '4096' }));
    assert.equal((await openEndpoint(options)).endpoint.numbers.length, 2);
  });
});

describe('an old seed that calls back for our GID', () => {
  it('gets our descriptor while its Connection reply is pending', { timeout: 10_000 }, async () => {
    const nic = new NicDouble('rxe0', gidOf(9));
    let name = '';
    const listener = await HandshakeListener.listen({
      host: '127.0.0.1',
      handlers: {
        metadata: () => rdmaDescriptor({ name, devices: [{ name: nic.device, gid: nic.gid, lid: nic.lid }] }),
        connection: () => Promise.reject(new Error('only reads')),
      },
    });
    after(() => listener.close());
    name = `127.0.0.1:${listener.port}`;
    let learnt: string | undefined;
    // One listener thread: it asks us from inside its handling of our Connection, and serves nobody else meanwhile.
    const seed = await scriptedPeer(
      async (request) => {
        const [server = '', device] = (request['local_nic_path'] as string).split('@');
        const descriptor = await fetchDescriptor(server, mooncake);
        learnt = descriptor.devices.find((each) => each.name === device)?.gid;
        return {
          local_nic_path: request['peer_nic_path']!,
          peer_nic_path: request['local_nic_path']!,
          qp_num: request['qp_num']!,
          reply_msg: '',
        };
      },
      { serial: true },
    );
    const open = (): Promise<unknown> =>
      openEndpoint({ nic, localName: name, peer: mooncake, peerAddress: seed.address, remoteDevice: 'mlx5_0', queuePairs: 2 });
    await Promise.all([open(), open(), open()]);
    assert.equal(learnt, nic.gid);
    assert.equal(nic.open.length, 3);
  });
});

describe('a Weightcast target and a Weightcast seed', () => {
  async function seed(): Promise<{ nic: NicDouble; responder: Responder; address: string; descriptor: SegmentDescriptor }> {
    const nic = new NicDouble('rxe1', gidOf(5), { mtu: 4096, responderReads: 128 });
    let address = '';
    const responder = new Responder({ serverName: () => address, nics: [nic] });
    const listener = await HandshakeListener.listen({
      host: '127.0.0.1',
      handlers: {
        metadata: (request) => {
          responder.remember(request);
          return descriptor;
        },
        connection: (message) => responder.handle(message),
      },
    });
    after(() => listener.close());
    address = `127.0.0.1:${listener.port}`;
    const descriptor = rdmaDescriptor({ name: address, devices: [{ name: 'rxe1', gid: gidOf(5), lid: 0 }], weightcast: { version: 1 } });
    return { nic, responder, address, descriptor };
  }

  it('agree on reads and MTU, and tear down together', async () => {
    const { nic: seedNic, responder, address, descriptor } = await seed();
    const nic = new NicDouble('rxe0', gidOf(9), { mtu: 1024, initiatorReads: 64 });
    const opened = await openEndpoint({ nic, localName, peer: descriptor, peerAddress: address, remoteDevice: 'rxe1', queuePairs: 4 });
    const ours = nic.endpoints[0]!;
    const theirs = seedNic.endpoints[0]!;
    assert.deepEqual(ours.peer, { gid: gidOf(5), lid: 0, numbers: theirs.numbers, pathMtu: 1024, maxReads: 64 });
    assert.deepEqual(theirs.peer, { gid: gidOf(9), lid: 0, numbers: ours.numbers, pathMtu: 1024, maxReads: 64 });
    await opened.release();
    assert.deepEqual([ours.state, theirs.state, responder.queuePairs], ['closed', 'closed', 0]);
  });

  it('keep to the bound on reads that the caller sets', async () => {
    const { address, descriptor, nic: seedNic } = await seed();
    const nic = new NicDouble('rxe0', gidOf(9), { initiatorReads: 64 });
    await openEndpoint({ nic, localName, peer: descriptor, peerAddress: address, remoteDevice: 'rxe1', queuePairs: 1, maxReads: 20 });
    assert.equal(nic.endpoints[0]?.peer?.maxReads, 20);
    assert.equal(seedNic.endpoints[0]?.peer?.maxReads, 20);
  });

  it('leave nothing at the seed when the target gives up', async () => {
    const { nic: seedNic, responder, address, descriptor } = await seed();
    const controller = new AbortController();
    seedNic.beforeConnect = async () => {
      controller.abort();
      await sleep(100);
    };
    const nic = new NicDouble('rxe0', gidOf(9));
    const options = {
      nic,
      localName,
      peer: descriptor,
      peerAddress: address,
      remoteDevice: 'rxe1',
      queuePairs: 2,
      signal: controller.signal,
    };
    await assert.rejects(openEndpoint(options), { code: 'ERR_ABORTED' });
    assert.equal(seedNic.endpoints.length, 1);
    await eventually('the seed drops its queue pairs', () => seedNic.open.length === 0 && responder.queuePairs === 0);
  });

  it('release at once when the seed is gone', async () => {
    const peer = await scriptedPeer((request, type, socket) => {
      const closing = (request['weightcast'] as JsonObject)['close'] === true;
      if (closing) socket.resetAndDestroy();
      else socket.end(encodeFrame(type, JSON.stringify(accept(request, { weightcast: { version: 1, close: true } }))));
      return new Promise<never>(() => undefined);
    });
    const nic = new NicDouble('rxe0', gidOf(9));
    const opened = await openEndpoint({ nic, localName, peer: mooncake, peerAddress: peer.address, remoteDevice: 'mlx5_0', queuePairs: 2 });
    await opened.release();
    assert.equal(nic.open.length, 0);
    assert.equal(peer.requests.length, 2);
  });

  it('learn an old reader’s GID by asking back', async () => {
    const { nic: seedNic, responder, address } = await seed();
    const reader = await scriptedPeer(() => ({ name: 'whoever', devices: [{ name: 'mlx5_0', gid: gidOf(77), lid: 1 }] }));
    const path = `${reader.address}@mlx5_0`;
    const request = { localNicPath: path, queuePairs: [1, 2], replyMessage: '', localGid: '', localLid: 0 };
    const handle = (): ReturnType<Responder['handle']> => responder.handle({ ...request, peerNicPath: `${address}@rxe1` });
    const replies = await Promise.all([handle(), handle()]);
    assert.deepEqual(
      replies.map(({ replyMessage }) => replyMessage),
      ['', ''],
    );
    await handle();
    assert.deepEqual(
      seedNic.endpoints.map(({ peer }) => peer?.gid),
      [gidOf(77), gidOf(77), gidOf(77)],
    );
    assert.equal(reader.requests.length, 1, 'one question for all');
    assert.equal(reader.requests[0]?.type, MessageType.metadata);
  });
});
