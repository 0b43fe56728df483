import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf, errorText, parseTransferInfo } from '#src/sglang/transfer-info.js';

const from = 'http://10.0.0.5:30000';

function reply(info: string, rank = '0'): string {
  return `{"rank":${rank},"remote_instance_transfer_engine_info":${info}}`;
}

describe('what an SGLang server answers', () => {
  const old = '["10.0.0.5:15428",{"model.norm.weight":[139637976727552,4096,2],"lm_head.weight":[18446744073709547520,1024,4]}]';

  it('is read exactly, addresses beyond 2^53 included', () => {
    const info = parseTransferInfo(reply(old), 0, from);
    assert.deepEqual(info, {
      sessionId: '10.0.0.5:15428',
      tensors: [
        { name: 'model.norm.weight', address: 139_637_976_727_552n, numel: 4096n, elementSize: 2 },
        { name: 'lm_head.weight', address: 2n ** 64n - 4096n, numel: 1024n, elementSize: 4 },
      ],
    });
    assert.deepEqual(info.tensors.map(bytesOf), [8192n, 4096n]);
  });

  it('may have more at the end of both lists, as newer servers do', () => {
    const newer =
      '["10.0.0.5:15428",{"w":[4096,3,2,"cuda:1"]},"rdma",null,[["10.0.0.5:15999",{"w":[1,1,1]},"nvlink",{"clique":1}]],{"later":true}]';
    assert.deepEqual(parseTransferInfo(reply(newer), 0, from), {
      sessionId: '10.0.0.5:15428',
      tensors: [{ name: 'w', address: 4096n, numel: 3n, elementSize: 2 }],
    });
    const without = `{"remote_instance_transfer_engine_info":${old},"version":2}`;
    assert.equal(parseTransferInfo(without, 7, from)?.sessionId, '10.0.0.5:15428', 'a rank is not needed');
  });

  it('may have tensors at one address, one over the other, and without bytes', () => {
    const text = reply('["h:1",{"a":[4096,8,4],"alias":[4096,8,4],"view":[4100,1,4],"none":[0,0,4],"__proto__":[8192,1,1]}]');
    const tensors = parseTransferInfo(text, 0, from)?.tensors ?? [];
    assert.deepEqual(
      tensors.map(({ name, address }) => `${name} ${String(address)}`),
      ['a 4096', 'alias 4096', 'view 4100', 'none 0', '__proto__ 8192'],
    );
  });

  for (const info of ['null', '[null,null]', '["h:1",null]', '[null,{"w":[1,1,1]}]']) {
    it(`is nothing yet: ${info}`, () => {
      assert.equal(parseTransferInfo(reply(info), 0, from), undefined);
    });
  }

  const hostile: readonly (readonly [text: string, says: RegExp])[] = [
    ['', /no JSON: .*expected a value/],
    ['<html>', /no JSON/],
    ['[]', /a list of 0 where a JSON object with "remote_instance_transfer_engine_info" is expected/],
    ['"x"', /"x" where a JSON object/],
    ['{}', /nothing for "remote_instance_transfer_engine_info"/],
    ['{"remote_instance_transfer_engine_info":{"session_id":"h:1"}}', /an object for/],
    [reply('["h:1"]'), /a list of 1 for/],
    [reply('["h:1",{"w":[1,1,1]}]', '3'), /for rank 3, but was asked for rank 0/],
    [reply('[7,{}]'), /7 for the session id/],
    [reply('["",{}]'), /"" for the session id/],
    [reply('["h:1",[]]'), /a list of 0 for the weights/],
    [reply('["h:1",{}]'), /without any tensor/],
    [reply('["h:1",{"w":null}]'), /null for tensor "w"/],
    [reply('["h:1",{"w":[1,2]}]'), /a list of 2 for tensor "w"/],
    [reply('["h:1",{"w":[-1,2,2]}]'), /a list of 3 for tensor "w"/],
    [reply('["h:1",{"w":[1.5,2,2]}]'), /tensor "w"/],
    [reply('["h:1",{"w":[1,"2",2]}]'), /tensor "w"/],
    [reply('["h:1",{"w":[1,2,0]}]'), /tensor "w"/],
    [reply('["h:1",{"w":[99999999999999999999,2,2]}]'), /tensor "w"/],
    [reply('["h:1",{"w":[18446744073709551615,1,2]}]'), /\[18446744073709551615, 1, 2\] for tensor "w": past the end/],
    [reply('["h:1",{"w":[0,18446744073709551615,8]}]'), /past the end/],
    [reply('["h:1",{"\\ud800":[1,1,1]}]'), /the tensor name .*, which is no text/],
    [`${reply('["h:1",{"w":[1,1,1]}]')} and more`, /no JSON: .*expected the end/],
    ['['.repeat(100_000), /no JSON: .*at most 32 levels/],
  ];
  for (const [text, says] of hostile) {
    it(`is refused, and by whom it was said: ${text.slice(0, 80)}`, () => {
      assert.throws(() => parseTransferInfo(text, 0, from), { code: 'ERR_PROTOCOL', peer: from, message: says });
      assert.throws(() => parseTransferInfo(text, 0, from), { message: /^http:\/\/10\.0\.0\.5:30000 answers / });
    });
  }

  it('in errors is found in whatever form the server has', () => {
    assert.equal(
      errorText('{"error":{"message":"Failed to get transfer engine info for rank 7"}}'),
      'Failed to get transfer engine info for rank 7',
    );
    assert.equal(errorText('{"detail":"No transfer engine info for rank 7"}'), 'No transfer engine info for rank 7');
    assert.equal(errorText('{"error":"no"}'), 'no');
    assert.equal(errorText('{"detail":[{"loc":["query","rank"]}]}'), '{"detail":[{"loc":["query","rank"]}]}');
    assert.equal(errorText('Missing rank\u0007 parameter\r\n'), 'Missing rank parameter');
    assert.equal(errorText('<!doctype html><html>'), '');
    assert.equal(errorText('x'.repeat(10_000)).length, 300);
  });
});
