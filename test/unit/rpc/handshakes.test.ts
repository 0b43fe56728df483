/** How many TLS handshakes of one address are under way. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { Handshakes } from '#src/rpc/acceptor/handshakes.js';

function start(test: TestContext): {
  begun: number[];
  over: (() => void)[];
  sockets: Socket[];
  enter: (name: number, address?: string) => void;
} {
  const handshakes = new Handshakes();
  test.after(() => handshakes.close());
  const begun: number[] = [];
  const over: (() => void)[] = [];
  const sockets: Socket[] = [];
  const enter = (name: number, address = '192.0.2.1'): void => {
    const socket = new Socket();
    sockets[name] = socket;
    handshakes.enter(address, socket, (done) => {
      begun.push(name);
      over[name] = done;
    });
  };
  return { begun, over, sockets, enter };
}

describe('TLS handshakes of an address', () => {
  it('are two at a time, and each begins when an earlier one is over', (test) => {
    const { begun, over, enter } = start(test);
    for (const name of [0, 1, 2, 3]) enter(name);
    assert.deepEqual(begun, [0, 1]);
    over[1]!();
    assert.deepEqual(begun, [0, 1, 2]);
    // Once is enough.
    over[1]!();
    assert.deepEqual(begun, [0, 1, 2]);
    over[0]!();
    assert.deepEqual(begun, [0, 1, 2, 3]);
  });

  it('are over with their connections, begun or not', (test) => {
    const { begun, sockets, enter } = start(test);
    for (const name of [0, 1, 2, 3]) enter(name);
    sockets[2]!.emit('close');
    sockets[0]!.emit('close');
    assert.deepEqual(begun, [0, 1, 3]);
  });

  it('do not wait for those of another address', (test) => {
    const { begun, enter } = start(test);
    for (const name of [0, 1, 2]) enter(name);
    enter(3, '192.0.2.2');
    assert.deepEqual(begun, [0, 1, 3]);
  });
});
