import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Traffic } from '#src/rpc/acceptor/traffic.js';
import { Places } from '#src/rpc/places.js';
import { Turns } from '#src/rpc/interceptors/turns.js';
import { PerClient } from '#src/rpc/per-client.js';
import { plainAddress } from '#src/rpc/plain-address.js';
import { TokenBucket } from '#src/rpc/token-bucket.js';

describe('TokenBucket', () => {
  it('gives a burst, then the rate', () => {
    let now = 0;
    const bucket = new TokenBucket(100, 5, () => now);
    const taken = (): number => Array.from({ length: 20 }, () => bucket.take()).filter(Boolean).length;
    assert.equal(taken(), 5);
    assert.equal(bucket.waitMs, 10);
    now += 30;
    assert.equal(taken(), 3);
    assert.equal(bucket.full, false);
    now += 1e6;
    assert.equal(bucket.full, true);
    assert.equal(taken(), 5);
  });

  it('can be charged more than it holds', () => {
    let now = 0;
    const bucket = new TokenBucket(1000, 10, () => now);
    bucket.charge(110);
    assert.equal(bucket.waitMs, 101);
    now += 101;
    assert.equal(bucket.waitMs, 0);
  });

  it('of rate 0 has no limit', () => {
    const bucket = new TokenBucket(0, 1);
    bucket.charge(1e9);
    assert.ok(bucket.take() && bucket.full);
    assert.equal(bucket.waitMs, 0);
  });
});

describe('Places', () => {
  it('are taken in order; who waits can go away', () => {
    const places = new Places(2);
    const entered: string[] = [];
    const enter = (name: string, count = 1): (() => void) =>
      places.enter(() => {
        entered.push(name);
        return count;
      });
    enter('a');
    enter('b', 5);
    enter('c');
    const goAway = enter('d');
    enter('e');
    assert.deepEqual(entered, ['a', 'b']);
    goAway();
    places.leave(1);
    assert.deepEqual(entered, ['a', 'b'], 'b holds more than there are');
    places.leave(5);
    assert.deepEqual(entered, ['a', 'b', 'c', 'e']);
    assert.equal(places.idle, false);
    places.leave(2);
    assert.equal(places.idle, true);
  });

  it('may be left before they are entered', () => {
    const places = new Places(1);
    let count = 0;
    for (let i = 0; i < 3; i += 1) {
      places.enter(() => {
        count += 1;
        places.leave(1);
        return 1;
      });
    }
    assert.equal(count, 3);
    assert.equal(places.idle, true);
  });
});

describe('Turns', () => {
  it('start at once while there is little to do', () => {
    const turns = new Turns<object>(() => 0);
    let started = 0;
    for (let i = 0; i < 1000; i += 1) turns.take({}, () => (started += 1));
    assert.equal(started, 1000);
  });

  it('go round among clients when there is much', async () => {
    let now = 0;
    const turns = new Turns<object>(() => now);
    const [busy, other] = [{}, {}];
    const order: string[] = [];
    const take = (client: object, name: string): void =>
      turns.take(client, () => {
        now += 1;
        order.push(name);
      });
    for (let i = 0; i < 100; i += 1) take(busy, `busy ${i}`);
    take(other, 'other');
    assert.deepEqual(order, ['busy 0']);
    await new Promise((done) => setImmediate(done));
    assert.deepEqual(order.slice(1), ['busy 1']);
    await new Promise((done) => setImmediate(done));
    assert.deepEqual(order.slice(2), ['other']);
    while (order.length < 101) await new Promise((done) => setImmediate(done));
    assert.equal(order.at(-1), 'busy 99');
  });

  it('let a client begin at once that has used little, while others wait', async () => {
    let now = 0;
    const turns = new Turns(() => now);
    const order: string[] = [];
    const take = (client: string): void =>
      turns.take(client, () => {
        now += 0.15;
        order.push(client);
      });
    for (let i = 0; i < 100; i += 1) take('busy');
    assert.equal(order.length, 4);
    for (let i = 0; i < 5; i += 1) take('other');
    assert.deepEqual(order.slice(4), ['other', 'other'], 'its share, and no more');
    for (let i = 0; i < 10; i += 1) take(`one of many, ${i}`);
    assert.equal(order.length, 7, 'all who do not wait take no more than a turn');
    const { number } = turns;
    await new Promise((done) => setImmediate(done));
    assert.equal(turns.number, number + 1);
    assert.deepEqual(order.slice(7, 10), ['busy', 'other', 'one of many, 1']);
  });
});

describe('PerClient', () => {
  it('forgets what is idle', () => {
    let idle = false;
    const clients = new PerClient(() => ({
      get idle() {
        return idle;
      },
    }));
    const first = clients.of('a');
    clients.sweep();
    assert.equal(clients.of('a'), first);
    idle = true;
    clients.sweep();
    assert.equal(clients.size, 0);
    clients.close();
  });
});

describe('Traffic', () => {
  const talker = (): { remoteAddress: string; remotePort: number; bytesRead: number } => ({
    remoteAddress: '::1',
    remotePort: 7,
    bytesRead: 0,
  });

  it('without calls is a flood at the second look', () => {
    const traffic = new Traffic();
    const peer = talker();
    let floods = 0;
    traffic.add(peer, () => (floods += 1));
    peer.bytesRead += 1e6;
    traffic.look();
    assert.equal(floods, 0);
    peer.bytesRead += 1e6;
    traffic.look();
    assert.equal(floods, 1);
    traffic.close();
  });

  it('with calls is none, however much', () => {
    const traffic = new Traffic();
    const peer = talker();
    const remove = traffic.add(peer, () => assert.fail('no flood'));
    const end = traffic.callBegan({ remoteAddress: '::1', remotePort: 7 });
    for (let i = 0; i < 5; i += 1) {
      peer.bytesRead += 1e8;
      traffic.look();
    }
    end();
    for (let i = 0; i < 5; i += 1) {
      peer.bytesRead += 1000;
      traffic.look();
    }
    remove();
    peer.bytesRead += 1e9;
    traffic.look();
    traffic.look();
    traffic.close();
  });
});

describe('plainAddress', () => {
  it('has one spelling for each', () => {
    assert.equal(plainAddress('::ffff:10.0.0.1'), '10.0.0.1');
    assert.equal(plainAddress('fe80::1%eth0'), 'fe80::1');
    assert.equal(plainAddress('10.0.0.1'), '10.0.0.1');
    assert.equal(plainAddress('::1'), '::1');
  });
});
