import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { recognise } from '#src/rpc/acceptor/greeting.js';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const settings = Buffer.from([0, 0, 6, 4, 0, 0, 0, 0, 0]);

describe('the first bytes of a connection', () => {
  it('are recognised as soon as they can be, in whatever pieces they come', () => {
    const hello = Buffer.concat([preface, settings]);
    for (let length = 0; length < hello.length; length += 1) assert.equal(recognise(hello.subarray(0, length)), undefined);
    assert.equal(recognise(hello), 'http2');
    assert.equal(recognise(Buffer.from([0x16])), undefined);
    assert.equal(recognise(Buffer.from([0x16, 3])), 'tls');
    assert.equal(recognise(Buffer.from([0x16, 4])), 'noise');
    assert.equal(recognise(Buffer.from('PO')), undefined);
    assert.equal(recognise(Buffer.from('POST /')), 'http1');
    assert.equal(recognise(Buffer.from('PRO')), 'noise');
    assert.equal(recognise(Buffer.from('GETX')), 'noise');
  });

  it('must be SETTINGS after the preface', () => {
    const after = (frame: number[]): unknown => recognise(Buffer.concat([preface, Buffer.from(frame)]));
    assert.equal(after([0, 0, 0, 4, 0, 0, 0, 0, 0]), 'http2');
    assert.equal(after([0, 0, 5, 4, 0, 0, 0, 0, 0]), 'noise');
    assert.equal(after([1, 0, 2, 4, 0, 0, 0, 0, 0]), 'noise');
    assert.equal(after([0, 0, 0, 6, 0, 0, 0, 0, 0]), 'noise');
    assert.equal(after([0, 0, 0, 4, 1, 0, 0, 0, 0]), 'noise');
    assert.equal(after([0, 0, 0, 4, 0, 0, 0, 0, 1]), 'noise');
  });

  it('need no more than 33 of them', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 33, maxLength: 64 }), (bytes) => recognise(Buffer.from(bytes)) !== undefined));
  });
});
