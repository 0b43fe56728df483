import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseJson } from '#src/handshake/json.js';
import {
  type ConnectionMessage,
  decodeConnection,
  decodeNotify,
  encodeConnection,
  encodeNotify,
  splitNicPath,
} from '#src/handshake/messages.js';
import { gidOf } from '../../support/nic-double.js';

const message: ConnectionMessage = {
  localNicPath: '10.0.0.9:15555@mlx5_0',
  peerNicPath: '10.0.0.5:15428@mlx5_1',
  queuePairs: [291, 292],
  replyMessage: '',
  localGid: gidOf(9),
  localLid: 3,
  readyAck: undefined,
  weightcast: undefined,
};

describe('Connection messages', () => {
  it('come back as they were written', () => {
    const extended: ConnectionMessage = { ...message, weightcast: { version: 1, maxReads: 32, mtu: 4096, close: true } };
    for (const each of [message, extended]) assert.deepEqual(decodeConnection(parseJson(encodeConnection(each))), each);
    assert.match(encodeConnection(extended), /"weightcast":\{"close":true,"max_reads":32,"mtu":4096,"version":1\}\}$/);
  });

  it('never carry ready_ack from us, whatever is in the object', () => {
    assert.doesNotMatch(encodeConnection({ ...message, readyAck: true }), /ready_ack/);
  });

  it('of every Mooncake version are understood', () => {
    const old = decodeConnection(parseJson('{"local_nic_path":"a:1@d","peer_nic_path":"b:2@e","qp_num":[1],"reply_msg":""}'));
    assert.deepEqual([old.localGid, old.localLid, old.readyAck, old.weightcast], ['', 0, undefined, undefined]);
    const recent = decodeConnection(parseJson(`{"local_gid":"${gidOf(5)}","local_lid":0,"qp_num":[803],"ready_ack":false,"reply_msg":""}`));
    assert.equal(recent.readyAck, false);
    const future = decodeConnection(parseJson('{"notify_qp_num":[7],"ctrl_channel":{},"qp_num":[1],"path_mtu":1024}'));
    assert.deepEqual(future.queuePairs, [1]);
    const rejected = decodeConnection(parseJson('{"reply_msg":"QP count mismatch"}'));
    assert.equal(rejected.replyMessage, 'QP count mismatch');
  });

  for (const [field, value] of [
    ['qp_num', '["1"]'],
    ['qp_num', '[-1]'],
    ['qp_num', '[4294967296]'],
    ['qp_num', '7'],
    ['local_nic_path', '{}'],
    ['reply_msg', '1'],
    ['local_gid', '"fe80::1"'],
    ['local_lid', '65536'],
    ['ready_ack', '1'],
    ['weightcast', '{"mtu":1000}'],
    ['weightcast', '{"max_reads":-1}'],
    ['weightcast', '"x"'],
  ] as const) {
    it(`are rejected for ${field} = ${value}`, () => {
      assert.throws(() => decodeConnection(parseJson(`{"${field}":${value}}`), 'peer:1'), {
        code: 'ERR_PROTOCOL',
        peer: 'peer:1',
        message: new RegExp(field),
      });
    });
  }

  it('throw nothing but ERR_PROTOCOL', () => {
    const shape = fc.dictionary(
      fc.constantFrom('qp_num', 'local_gid', 'local_lid', 'reply_msg', 'ready_ack', 'weightcast'),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), shape), (value) => {
        try {
          decodeConnection(value);
        } catch (error) {
          assert.equal((error as { code: string }).code, 'ERR_PROTOCOL');
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('Notify messages', () => {
  it('come back as they were written', () => {
    assert.deepEqual(decodeNotify(parseJson(encodeNotify({ name: 'a', message: 'b' }))), { name: 'a', message: 'b' });
    assert.throws(() => decodeNotify({ name: 1 }), { code: 'ERR_PROTOCOL' });
  });
});

describe('NIC paths', () => {
  it('are cut at the first @', () => {
    assert.deepEqual(splitNicPath('[2001:db8::1]:15428@mlx5_0'), { server: '[2001:db8::1]:15428', device: 'mlx5_0' });
    assert.deepEqual(splitNicPath('a:1@b@c'), { server: 'a:1', device: 'b@c' });
    for (const path of ['', 'a:1', '@mlx5_0', 'a:1@']) assert.equal(splitNicPath(path), undefined);
  });
});
