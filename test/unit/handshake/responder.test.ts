import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionMessage } from '#src/handshake/messages.js';
import { Responder, type ResponderOptions } from '#src/handshake/responder.js';
import { fault, gidOf, NicDouble } from '../../support/nic-double.js';

const own = '10.0.0.5:15428';

function setUp(options: Partial<ResponderOptions> = {}): { nic: NicDouble; responder: Responder } {
  const nic = new NicDouble('mlx5_1', gidOf(5), { lid: 2 });
  return {
    nic,
    responder: new Responder({ serverName: () => own, nics: [new NicDouble('mlx5_0', gidOf(4)), nic], retireGraceMs: 20, ...options }),
  };
}

function request(changes: Partial<ConnectionMessage> = {}): ConnectionMessage {
  return {
    localNicPath: '10.0.0.9:15555@mlx5_0',
    peerNicPath: `${own}@mlx5_1`,
    queuePairs: [291, 292],
    replyMessage: '',
    localGid: gidOf(9),
    localLid: 3,
    ...changes,
  };
}

describe('a responder', () => {
  it('connects as many fresh queue pairs as the reader has before it replies', async () => {
    for (const count of [1, 2, 4, 64]) {
      const { nic, responder } = setUp();
      const queuePairs = Array.from({ length: count }, (_, index) => 1000 + index);
      const reply = await responder.handle(request({ queuePairs }));
      const [endpoint] = nic.endpoints;
      assert.equal(endpoint?.state, 'RTS');
      assert.equal(endpoint.role, 'responder');
      assert.deepEqual(endpoint.peer, { gid: gidOf(9), lid: 3, numbers: Uint32Array.from(queuePairs), pathMtu: 0, maxReads: 16 });
      assert.deepEqual(reply, {
        localNicPath: `${own}@mlx5_1`,
        peerNicPath: '10.0.0.9:15555@mlx5_0',
        queuePairs: Array.from(endpoint.numbers),
        replyMessage: '',
        localGid: gidOf(5),
        localLid: 2,
        weightcast: undefined,
      });
    }
  });

  it('echoes the paths verbatim', async () => {
    const { responder } = setUp();
    const strange = '010.0.0.9:15555@mlx5_0@é "x"';
    const reply = await responder.handle(request({ localNicPath: strange }));
    assert.equal(reply.peerNicPath, strange);
    assert.equal(reply.replyMessage, '');
  });

  it('agrees on reads and MTU with a Weightcast reader, and never on fewer reads than Mooncake uses', async () => {
    for (const [reads, mtu, ownReads, agreed] of [
      [64, 1024, 128, 64],
      [64, 1024, 32, 32],
      [4, 4096, 128, 16],
      [64, 4096, 8, 16],
    ] as const) {
      const nic = new NicDouble('mlx5_1', gidOf(5), { mtu: 2048, responderReads: ownReads });
      const responder = new Responder({ serverName: () => own, nics: [nic] });
      const reply = await responder.handle(request({ weightcast: { version: 1, maxReads: reads, mtu } }));
      assert.equal(nic.endpoints[0]?.peer?.maxReads, agreed);
      assert.equal(nic.endpoints[0].peer.pathMtu, Math.min(2048, mtu));
      assert.deepEqual(reply.weightcast, { version: 1, maxReads: ownReads, mtu: 2048, close: true });
    }
  });

  const rejected: [string, Partial<ConnectionMessage>, RegExp][] = [
    ['an unknown device', { peerNicPath: `${own}@mlx5_9` }, /no RDMA device mlx5_9; it has: mlx5_0, mlx5_1/],
    ['another server name', { peerNicPath: '10.0.0.6:15428@mlx5_1' }, /nic path inconsistency/],
    ['a path without device', { peerNicPath: own }, /nic path inconsistency/],
    ['no queue pairs', { queuePairs: [] }, /1 to 64 queue pairs.*received 0/],
    ['65 queue pairs', { queuePairs: Array.from({ length: 65 }, (_, index) => index) }, /1 to 64 queue pairs.*received 65/],
    ['an endless path', { localNicPath: `${'x'.repeat(1000)}:1@d` }, /at most 600 characters/],
    ['no GID and no path to ask for one', { localGid: '', localNicPath: 'nonsense' }, /host:port@device/],
  ];
  for (const [what, changes, reason] of rejected) {
    it(`rejects ${what} with a reason and makes nothing`, async () => {
      const { nic, responder } = setUp();
      const reply = await responder.handle(request(changes));
      assert.match(reply.replyMessage, reason);
      assert.deepEqual(reply.queuePairs, []);
      assert.equal(reply.localNicPath, request(changes).peerNicPath);
      assert.equal(nic.endpoints.length, 0);
      assert.equal(responder.queuePairs, 0);
    });
  }

  it('rejects with the failing call when verbs refuse, and keeps nothing', async () => {
    const { nic, responder } = setUp();
    nic.beforeConnect = () => Promise.reject(fault('ibv_modify_qp(RTR): EINVAL, gid_index 1', 'VERBS', 'ibv_modify_qp'));
    const reply = await responder.handle(request());
    assert.match(reply.replyMessage, /mlx5_1.*10\.0\.0\.9:15555@mlx5_0.*ibv_modify_qp\(RTR\)/);
    assert.equal(nic.open.length, 0);
    assert.equal(responder.queuePairs, 0);
    nic.beforeConnect = async () => undefined;
    nic.beforeCreate = () => Promise.reject(fault('no more queue pairs', 'OUT_OF_MEMORY', 'ibv_create_qp', 12));
    assert.match((await responder.handle(request())).replyMessage, /no more queue pairs/);
    assert.equal(responder.queuePairs, 0);
  });

  it('makes fresh queue pairs even for the same numbers, and retires the old ones after the grace', async () => {
    const { nic, responder } = setUp({ retireGraceMs: 40 });
    const first = await responder.handle(request());
    const second = await responder.handle(request());
    assert.notDeepEqual(first.queuePairs, second.queuePairs);
    assert.deepEqual(
      nic.endpoints.map(({ state }) => state),
      ['RTS', 'RTS'],
    );
    await sleep(120);
    assert.deepEqual(
      nic.endpoints.map(({ state }) => state),
      ['closed', 'RTS'],
    );
    assert.equal(responder.queuePairs, 2);
  });

  it('keeps at most four endpoints of a path, however often a reader starts anew within the grace', async () => {
    const { nic, responder } = setUp({ retireGraceMs: 60_000 });
    await responder.handle(request({ localNicPath: 'other:1@d' }));
    for (let attempt = 0; attempt < 10; attempt++) assert.equal((await responder.handle(request())).replyMessage, '');
    assert.deepEqual(
      nic.endpoints.map(({ state }) => state),
      ['RTS', ...Array.from({ length: 6 }, () => 'closed'), 'RTS', 'RTS', 'RTS', 'RTS'],
    );
    assert.equal(responder.queuePairs, 10);
    await responder.close();
  });

  it('makes at most four of a path at once', async () => {
    const { nic, responder } = setUp();
    const connectNow: (() => void)[] = [];
    nic.beforeConnect = () => new Promise((resolve) => connectNow.push(resolve));
    const connecting = Array.from({ length: 4 }, () => responder.handle(request()));
    while (connectNow.length < 4) await sleep(1);
    assert.match((await responder.handle(request())).replyMessage, /4 connections of .*mlx5_0 are being made/);
    for (const connect of connectNow) connect();
    for (const reply of await Promise.all(connecting)) assert.equal(reply.replyMessage, '');
    await responder.close();
  });

  it('leaves other readers’ queue pairs alone', async () => {
    const { nic, responder } = setUp();
    await responder.handle(request());
    await responder.handle(request({ localNicPath: '10.0.0.9:15555@mlx5_7' }));
    await responder.handle(request({ peerNicPath: `${own}@mlx5_0` }));
    await sleep(80);
    assert.equal(nic.open.length, 2);
    assert.equal(responder.queuePairs, 6);
  });

  it('takes a confirmation without touching queue pairs', async () => {
    const { nic, responder } = setUp();
    await responder.handle(request());
    for (const queuePairs of [
      [291, 292],
      [1, 2],
    ]) {
      const reply = await responder.handle(request({ readyAck: true, queuePairs }));
      assert.deepEqual(reply, { localNicPath: '', peerNicPath: '', queuePairs: [], replyMessage: '', localGid: '', localLid: 0 });
    }
    await sleep(60);
    assert.deepEqual(
      nic.endpoints.map(({ state }) => state),
      ['RTS'],
    );
  });

  it('takes ready_ack: false as a new connection', async () => {
    const { nic, responder } = setUp();
    assert.equal((await responder.handle(request({ readyAck: false }))).replyMessage, '');
    assert.equal(nic.endpoints.length, 1);
  });

  it('closes what a Weightcast reader closes, and only that', async () => {
    const { nic, responder } = setUp();
    await responder.handle(request({ queuePairs: [1, 2] }));
    await responder.handle(request({ queuePairs: [3, 4], localNicPath: 'other:1@d' }));
    const farewell = { version: 1, close: true };
    assert.equal((await responder.handle(request({ queuePairs: [9, 9], weightcast: farewell }))).replyMessage, '');
    assert.equal(nic.open.length, 2);
    await responder.handle(request({ queuePairs: [1, 2], weightcast: farewell }));
    assert.deepEqual(
      nic.endpoints.map(({ state }) => state),
      ['closed', 'RTS'],
    );
    assert.equal(responder.queuePairs, 2);
  });

  it('closes what a reader gave up while it was being made', async () => {
    const { nic, responder } = setUp();
    let connectNow = (): void => undefined;
    nic.beforeConnect = () => new Promise((resolve) => (connectNow = resolve));
    const connecting = responder.handle(request());
    await sleep(5);
    await responder.handle(request({ weightcast: { version: 1, close: true } }));
    connectNow();
    assert.match((await connecting).replyMessage, /gave up/);
    assert.equal(nic.open.length, 0);
    assert.equal(responder.queuePairs, 0);
  });

  it('bounds queue pairs: retiring ones go first, then the oldest reader’s', async () => {
    const { nic, responder } = setUp({ maxQueuePairs: 6, retireGraceMs: 60_000 });
    await responder.handle(request({ localNicPath: 'a:1@d' }));
    await responder.handle(request({ localNicPath: 'b:1@d' }));
    await responder.handle(request({ localNicPath: 'b:1@d' }));
    await responder.handle(request({ localNicPath: 'c:1@d' }));
    assert.deepEqual(
      nic.endpoints.map(({ state }) => state),
      ['RTS', 'closed', 'RTS', 'RTS'],
    );
    await responder.handle(request({ localNicPath: 'd:1@d' }));
    assert.deepEqual(
      nic.endpoints.map(({ state }) => state),
      ['closed', 'closed', 'RTS', 'RTS', 'RTS'],
    );
    assert.equal(responder.queuePairs, 6);
    assert.match((await responder.handle(request({ queuePairs: [1, 2, 3, 4, 5, 6, 7] }))).replyMessage, /6 queue pairs of at most 6/);
    assert.equal(nic.open.length, 3);
  });

  it('does not take from readers that are still connecting', async () => {
    const { nic, responder } = setUp({ maxQueuePairs: 2 });
    let connectNow = (): void => undefined;
    nic.beforeConnect = () => new Promise((resolve) => (connectNow = resolve));
    const first = responder.handle(request());
    await sleep(5);
    assert.match((await responder.handle(request({ localNicPath: 'b:1@d' }))).replyMessage, /at most 2/);
    connectNow();
    assert.equal((await first).replyMessage, '');
  });

  it('destroys everything on close and refuses from then on', async () => {
    const { nic, responder } = setUp({ retireGraceMs: 60_000 });
    await responder.handle(request());
    await responder.handle(request());
    let connectNow = (): void => undefined;
    nic.beforeConnect = () => new Promise((resolve) => (connectNow = resolve));
    const late = responder.handle(request({ localNicPath: 'late:1@d' }));
    await sleep(5);
    const closed = responder.close();
    connectNow();
    await closed;
    assert.match((await late).replyMessage, /closing/);
    assert.equal(nic.open.length, 0);
    assert.equal(responder.queuePairs, 0);
    assert.match((await responder.handle(request())).replyMessage, /closing/);
    await responder.close();
  });

  it('takes the GID of an old reader from its Metadata request', async () => {
    const { nic, responder } = setUp();
    responder.remember({
      name: '10.0.0.9:15555',
      protocol: 'rdma',
      devices: [{ name: 'mlx5_0', gid: gidOf(77), lid: 9 }],
      buffers: 'ignored',
    });
    const reply = await responder.handle(request({ localGid: '', localLid: 0 }));
    assert.equal(reply.replyMessage, '');
    assert.equal(nic.endpoints[0]?.peer?.gid, gidOf(77));
    assert.equal(nic.endpoints[0].peer.lid, 9);
  });

  it('also finds it under rdma_server_name, and prefers what the reader says itself', async () => {
    const { nic, responder } = setUp();
    responder.remember({ name: '10.0.0.9:15555', rdma_server_name: 'rail:1', devices: [{ name: 'mlx5_0', gid: gidOf(77) }] });
    await responder.handle(request({ localGid: '', localNicPath: 'rail:1@mlx5_0' }));
    await responder.handle(request());
    assert.deepEqual(
      nic.endpoints.map(({ peer }) => peer?.gid),
      [gidOf(77), gidOf(9)],
    );
  });

  it('ignores Metadata requests that are no descriptors', () => {
    const { responder } = setUp();
    const gid = gidOf(1);
    for (const body of [
      null,
      7,
      [],
      'x',
      { devices: 1 },
      { name: 'a', devices: [{}] },
      { name: 'x'.repeat(5000), devices: [{ name: 'd', gid }] },
    ]) {
      assert.doesNotThrow(() => {
        responder.remember(body);
      });
    }
  });

  it('forgets readers beyond a thousand, the longest unused first', async () => {
    const { nic, responder } = setUp();
    // Nobody listens on port 1: a question to a forgotten reader fails.
    responder.remember({ name: '127.0.0.1:1', devices: [{ name: 'mlx5_0', gid: gidOf(77) }] });
    for (let index = 0; index < 1023; index++) responder.remember({ name: `filler:${index}`, devices: [{ name: 'd', gid: gidOf(1) }] });
    const asking = request({ localGid: '', localNicPath: '127.0.0.1:1@mlx5_0' });
    assert.equal((await responder.handle(asking)).replyMessage, '');
    for (let index = 2000; index < 3023; index++) responder.remember({ name: `filler:${index}`, devices: [{ name: 'd', gid: gidOf(1) }] });
    assert.equal((await responder.handle(asking)).replyMessage, '');
    for (let index = 4000; index < 5024; index++) responder.remember({ name: `filler:${index}`, devices: [{ name: 'd', gid: gidOf(1) }] });
    assert.match((await responder.handle(asking)).replyMessage, /127\.0\.0\.1:1.*ECONNREFUSED/);
    assert.equal(nic.endpoints.length, 2);
  });
});
