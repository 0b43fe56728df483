import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseRegistration, RankTable, type OfferedTensor } from '#src/sglang/rank-table.js';

const tensor: OfferedTensor = { name: 'model.norm.weight', address: 2n ** 64n - 1n, numel: 5n, elementSize: 2 };

function registration(fields: object, info: object = { session_id: 's:1', weights_info_dict: {} }): string {
  return JSON.stringify({ ...fields, transfer_engine_info: info });
}

describe('the table of ranks', () => {
  it('keeps addresses exact and names as they are', () => {
    const table = new RankTable();
    const odd = { ...tensor, name: '__proto__', address: 0x7fff_0000_0001n };
    table.set(3, { sessionId: '10.0.0.1:15000', tensors: [tensor, odd, { ...tensor, name: 'naïve "\u0001' }] });
    assert.equal(
      table.infoOf(3),
      '["10.0.0.1:15000",{"model.norm.weight":[18446744073709551615,5,2],"__proto__":[140733193388033,5,2],"naïve \\"\\u0001":[18446744073709551615,5,2]}]',
    );
    assert.equal(table.infoOf(0), undefined);
  });

  it('replaces a rank, and removes it for the session that holds it only', () => {
    const table = new RankTable();
    table.set(0, { sessionId: 'old:1', tensors: [] });
    table.set(0, { sessionId: 'new:1', tensors: [] });
    assert.equal(table.remove(0, 'old:1'), false);
    assert.equal(table.infoOf(0), '["new:1",{}]');
    assert.equal(table.remove(0, 'new:1'), true);
    assert.equal(table.infoOf(0), undefined);
  });

  it('takes so many ranks and no more', () => {
    const table = new RankTable();
    for (let rank = 0; rank < 4096; rank++) table.set(rank, { sessionId: 's:1', tensors: [] });
    assert.throws(() => table.set(4096, { sessionId: 's:1', tensors: [] }), { code: 'ERR_OVERLOADED', message: /no room for rank 4096/ });
    table.set(17, { sessionId: 'again:1', tensors: [] });
    assert.equal(table.infoOf(17), '["again:1",{}]');
  });
});

describe('a registration', () => {
  it('is read exactly, what is new in it ignored', () => {
    const text =
      '{"tp_rank":2,"x":[{}],"transfer_engine_info":{"session_id":"s:1","backend":"mooncake","weights_info_dict":{"a":[18446744073709551615,3,4,0],"__proto__":[0,0,1]}}}';
    const { rank, info } = parseRegistration(text);
    assert.equal(rank, 2);
    assert.deepEqual(
      [info.sessionId, ...info.tensors],
      [
        's:1',
        { name: 'a', address: 2n ** 64n - 1n, numel: 3n, elementSize: 4 },
        { name: '__proto__', address: 0n, numel: 0n, elementSize: 1 },
      ],
    );
  });

  it('has its rank in "rank" or in "tp_rank", and the former counts', () => {
    assert.equal(parseRegistration(registration({ rank: 0, tp_rank: 7 })).rank, 0);
    assert.equal(parseRegistration(registration({ tp_rank: 7 })).rank, 7);
  });

  it('that makes no sense is refused with what is wrong', () => {
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['', /./],
      ['[]', /a registration is a list of 0/],
      [registration({}), /rank is missing/],
      [registration({ rank: -1 }), /rank is -1/],
      [registration({ rank: 1.5 }), /rank is 1\.5/],
      [registration({ rank: '0' }), /rank is "0"/],
      ['{"rank":0}', /transfer_engine_info is missing/],
      [registration({ rank: 0 }, { weights_info_dict: {} }), /session_id is missing/],
      [registration({ rank: 0 }, { session_id: 's:1' }), /weights_info_dict is missing/],
      [registration({ rank: 0 }, { session_id: 's:1', weights_info_dict: { w: [1, 2] } }), /"w" is a list of 2: expected \[address/],
      [registration({ rank: 0 }, { session_id: 's:1', weights_info_dict: { w: [1, -2, 4] } }), /"w" is a list of 3/],
      [registration({ rank: 0 }, { session_id: 's:1', weights_info_dict: { w: { addr: 1 } } }), /"w" is an object/],
    ];
    for (const [text, message] of wrong) assert.throws(() => parseRegistration(text), { code: 'ERR_PROTOCOL', message }, text);
  });
});
