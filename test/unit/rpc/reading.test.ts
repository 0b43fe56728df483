/** Which connections of a client are read when its calls come by the dozen. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as look } from 'node:timers/promises';
import { Reading } from '#src/rpc/acceptor/reading.js';
import type { Tap } from '#src/rpc/acceptor/tap.js';
import { eventually } from '../../support/eventually.js';

const address = '192.0.2.1';

/** A connection that is read while it is `open`, and which cannot be opened while it `writes`. */
class Connection implements Tap {
  opened = true;
  writes = false;

  close(): void {
    this.opened = false;
  }

  open(): boolean {
    this.opened = !this.writes;
    return this.opened;
  }
}

class Fixture {
  busy = false;
  readonly reading = new Reading({ busy: () => this.busy });
  readonly connections: Connection[];
  readonly remove: (() => void)[];

  constructor(count: number) {
    this.connections = Array.from({ length: count }, () => new Connection());
    this.remove = this.connections.map((connection) => this.reading.add(address, connection));
  }

  calls(count: number, from = address): void {
    for (let i = 0; i < count; i += 1) this.reading.began(from);
  }

  get opened(): boolean[] {
    return this.connections.map((connection) => connection.opened);
  }
}

describe('the connections of a client', () => {
  it('are all read while its calls are few', async () => {
    const client = new Fixture(3);
    for (let i = 0; i < 5; i += 1) {
      client.calls(15);
      assert.deepEqual(client.opened, [true, true, true]);
      await look();
    }
  });

  it('wait when its calls are many, and are read one after the other', async () => {
    const client = new Fixture(3);
    client.calls(16);
    assert.deepEqual(client.opened, [false, false, false]);
    await look();
    assert.deepEqual(client.opened, [true, false, false]);
    // The first one brings many again, and goes to the end of the line.
    client.calls(16);
    await look();
    assert.deepEqual(client.opened, [false, true, false]);
    await look();
    await look();
    assert.deepEqual(client.opened, [true, true, true]);
  });

  it('wait while its calls wait for their turn', async () => {
    const client = new Fixture(2);
    client.busy = true;
    client.calls(16);
    for (let i = 0; i < 5; i += 1) await look();
    assert.deepEqual(client.opened, [false, false]);
    client.busy = false;
    await eventually('connection that is read again', () => client.opened.every(Boolean) || undefined);
  });

  it('are none of the affairs of another client', async () => {
    const client = new Fixture(2);
    client.calls(100, '192.0.2.2');
    assert.deepEqual(client.opened, [true, true]);
    await look();
    assert.deepEqual(client.opened, [true, true]);
  });

  it('are tried again when they still write, and do not hold up those behind them', async () => {
    const client = new Fixture(2);
    const [first] = client.connections;
    first!.writes = true;
    client.calls(16);
    await look();
    await look();
    assert.deepEqual(client.opened, [false, true]);
    first!.writes = false;
    await eventually('connection that is read again', () => client.opened.every(Boolean) || undefined);
  });

  it('are forgotten when they are closed', async () => {
    const client = new Fixture(2);
    client.calls(16);
    client.remove[0]!();
    await look();
    await look();
    assert.deepEqual(client.opened, [false, true]);
    client.remove[1]!();
    client.calls(16);
    assert.deepEqual(client.opened, [false, true]);
  });

  it('are served one a look, in the order of their coming', async () => {
    const { reading } = new Fixture(0);
    const served: number[] = [];
    for (let i = 0; i < 3; i += 1) reading.enter(address, () => served.push(i));
    assert.deepEqual(served, [0]);
    await look();
    assert.deepEqual(served, [0, 1]);
    reading.enter('192.0.2.2', () => served.push(9));
    assert.deepEqual(served, [0, 1, 9]);
    await look();
    assert.deepEqual(served, [0, 1, 9, 2]);
  });
});
