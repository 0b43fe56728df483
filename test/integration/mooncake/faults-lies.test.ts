/** Peers whose descriptors or answers are not what they should be: each is an error that says so, or does no harm. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ErrorCode } from '#src/errors.js';
import { p0, p1, p3, type Profile } from '../../support/mooncake/simulated/profiles.js';
import { SimulatedSeed, type SimulatedSeedOptions } from '../../support/mooncake/simulated/seed.js';
import type { Fault } from '../../support/mooncake/simulated/tcp-service.js';
import type { JsonObject } from '../../support/mooncake/simulated/wire.js';
import { assertArrived, bytesOf, failure, pullFrom, tcpVersions, tensorsOf, weightsOf } from '../../support/mooncake/faults.js';

const weights = weightsOf(1);
const [first, second] = weights.buffers;
assert.ok(first && second);

function seedOf(profile: Profile, options: Partial<SimulatedSeedOptions> = {}): Promise<SimulatedSeed> {
  return SimulatedSeed.start(profile, { buffers: weights.buffers, ...options });
}

function sessionOf(seed: SimulatedSeed, tensors = tensorsOf(weights)): { session: { id: string; tensors: typeof tensors } } {
  return { session: { id: seed.address, tensors } };
}

/** Buffers as listed: address and length each. */
function listing(...buffers: readonly (readonly [addr: unknown, length: unknown])[]): JsonObject {
  return { buffers: buffers.map(([addr, length]) => ({ addr, length, name: 'n' })) as never };
}

describe('a descriptor', () => {
  const whole = second.address + second.bytes.length - first.address;
  const end = second.address + second.bytes.length;

  for (const profile of tcpVersions) {
    const refused: ErrorCode = profile === p3 ? 'ERR_REMOTE_ACCESS' : 'ERR_PEER_LOST';

    test(`with more than is registered: ${refused} for what is not, as ${profile.name}`, async () => {
      const seed = await seedOf(profile, { descriptor: listing([first.address, 2 ** 46]) });
      // What is there may be read; a tensor that would lie behind it may not.
      assertArrived(await pullFrom(sessionOf(seed)), bytesOf(weights));
      const behind = [...tensorsOf(weights), { name: 'behind', address: BigInt(end), bytes: 1n }];
      const { message } = await failure(pullFrom(sessionOf(seed, behind)), refused);
      assert.match(message, /stale/);
    });

    test(`that makes one of two buffers: a read astride both is refused, as ${profile.name}`, async () => {
      const seed = await seedOf(profile, { descriptor: listing([first.address, whole]) });
      const astride = [{ name: 'astride', address: BigInt(first.address), bytes: BigInt(whole) }];
      await failure(pullFrom(sessionOf(seed, astride)), refused);
    });
  }

  test('with buffers one over the other, one twice, and more of them than there are: every byte arrives', async () => {
    const half = Math.floor(first.bytes.length / 2);
    const overlapping = listing(
      [first.address, half + 1000],
      [first.address + half, first.bytes.length - half],
      [first.address, first.bytes.length],
      [first.address, first.bytes.length],
      [second.address + 7, 100],
      [second.address, second.bytes.length],
    );
    for (const profile of tcpVersions) {
      const seed = await seedOf(profile, { descriptor: overlapping });
      assertArrived(await pullFrom(sessionOf(seed), { sliceBytes: 4096 }), bytesOf(weights));
    }
  });

  test('with less than its tensors need: ERR_PROTOCOL, and nobody is asked for a byte', async () => {
    for (const descriptor of [listing([first.address, first.bytes.length]), listing([second.address, 1]), { buffers: [] }]) {
      const seed = await seedOf(p3, { descriptor });
      const { message, peer } = await failure(pullFrom(sessionOf(seed)), 'ERR_PROTOCOL');
      assert.match(message, /registered|buffer/);
      assert.equal(peer, seed.address);
      assert.deepEqual(seed.tcpService.opcodes, []);
    }
  });

  test('whose numbers are none: ERR_PROTOCOL that names the field', async () => {
    const wrong: readonly (readonly [JsonObject, RegExp])[] = [
      [listing([first.address, 1], [2n ** 64n - 4096n, 4097]), /range below 2\^64 as buffers\[1\]\.length, received 4097/],
      [listing([first.address, 2n ** 64n]), /buffers\[0\]\.length/],
      [listing([2n ** 64n, 1]), /buffers\[0\]\.addr/],
      [listing([first.address, 0]), /buffers\[0\]\.length, received 0/],
      [listing([first.address, -1]), /buffers\[0\]\.length, received -1/],
      [listing([first.address, 1.5]), /buffers\[0\]\.length, received 1\.5/],
      [listing([first.address, 1e300]), /buffers\[0\]\.length/],
      [listing([first.address, '4096']), /buffers\[0\]\.length, received "4096"/],
      [listing([null, 4096]), /buffers\[0\]\.addr, received nothing/],
      [{ buffers: { addr: 1 } }, /an array as buffers, received an object/],
      [{ tcp_data_port: 65_536 }, /tcp_data_port, received 65536/],
      [{ protocol: 7 }, /protocol, received 7/],
    ];
    for (const [descriptor, message] of wrong) {
      const seed = await seedOf(p3, { descriptor });
      assert.match((await failure(pullFrom(sessionOf(seed)), 'ERR_PROTOCOL')).message, message);
    }
  });

  test('that ends exactly at 2^64 is one', async () => {
    const seed = await seedOf(p3, { descriptor: listing([2n ** 64n - 4096n, 4096], [first.address, whole]) });
    assertArrived(await pullFrom(sessionOf(seed)), bytesOf(weights));
  });

  test('of a transport that cannot be read, or a data port where nobody is: an own error each', async () => {
    const nobody = await seedOf(p3);
    await nobody.tcpService.kill();
    assert.match((await failure(pullFrom(sessionOf(nobody)), 'ERR_PEER_LOST')).message, /ECONNREFUSED|connect/i);
    const noPort = await seedOf(p3, { descriptor: { tcp_data_port: 0 } });
    await failure(pullFrom(sessionOf(noPort)), 'ERR_TRANSPORT_UNAVAILABLE');
    const other = await seedOf(p3, { descriptor: { protocol: 'nvlink' } });
    await failure(pullFrom(sessionOf(other)), 'ERR_TRANSPORT_UNAVAILABLE');
    // A port that takes the request for something else, and waits for more of it.
    const { handshake } = (await seedOf(p3)).ports;
    const mistaken = await seedOf(p3, { descriptor: { tcp_data_port: handshake } });
    await failure(pullFrom(sessionOf(mistaken), { stallTimeoutMs: 300 }), 'ERR_STALLED');
  });
});

/** One answer is replaced: that of this number. */
function at(number: number, fault: Fault): Fault {
  return (due) => (due.number === number ? fault(due) : { bytes: due.bytes });
}

describe('an answer', () => {
  // Of nineteen or so; the last one is of the read's end.
  const places = [0, 1, 7] as const;
  const inSlices = { connections: 1, sliceBytes: 20_000 };

  for (const profile of [p0, ...tcpVersions]) {
    for (const number of places) {
      test(`${number} of too few bytes, then closed or reset: ERR_PEER_LOST, as ${profile.name}`, async () => {
        for (const then of ['close', 'reset'] as const) {
          const seed = await seedOf(profile, { fault: at(number, ({ bytes }) => ({ bytes: bytes.subarray(0, -1), then })) });
          assert.match((await failure(pullFrom(sessionOf(seed), inSlices), 'ERR_PEER_LOST')).message, /in the middle of an answer|broke/);
        }
      });
    }
  }

  for (const profile of tcpVersions) {
    test(`of too few bytes, and then nothing: ERR_STALLED, as ${profile.name}`, async () => {
      const seed = await seedOf(profile, { fault: at(2, ({ bytes }) => ({ bytes: bytes.subarray(0, -1) })) });
      await failure(pullFrom(sessionOf(seed), { ...inSlices, stallTimeoutMs: 300 }), 'ERR_STALLED');
    });

    test(`of too many bytes, the first, one between, or the last: ERR_PROTOCOL, as ${profile.name}`, async () => {
      const honest = await seedOf(profile);
      await pullFrom(sessionOf(honest), inSlices);
      const last = honest.tcpService.opcodes.length - 1;
      for (const number of [...places, last]) {
        const more: Fault = ({ bytes }) => ({ bytes: Buffer.concat([bytes, Buffer.of(0)]) });
        const seed = await seedOf(profile, { fault: at(number, more) });
        assert.match((await failure(pullFrom(sessionOf(seed), inSlices), 'ERR_PROTOCOL')).message, /more bytes than were asked for/);
      }
    });

    test(`too many of which come over one connection of four: ERR_PROTOCOL all the same, as ${profile.name}`, async () => {
      const seed = await seedOf(profile, { fault: at(3, ({ bytes }) => ({ bytes: Buffer.concat([bytes, bytes]) })) });
      await failure(pullFrom(sessionOf(seed), { sliceBytes: 20_000 }), 'ERR_PROTOCOL');
    });
  }

  test('without the magic of a status, where one was promised: ERR_PROTOCOL', async () => {
    const raw = await seedOf(p1, { descriptor: { tcp_proto_version: 2 } });
    assert.match((await failure(pullFrom(sessionOf(raw)), 'ERR_PROTOCOL')).message, /no status of TCP protocol 2/);
    for (const number of places) {
      const fault = at(number, ({ bytes }) => ({ bytes: Buffer.concat([Buffer.alloc(8, 0x5a), bytes.subarray(8)]) }));
      const seed = await seedOf(p3, { fault });
      await failure(pullFrom(sessionOf(seed), inSlices), 'ERR_PROTOCOL');
    }
  });

  test('with a status that is cut short: ERR_PEER_LOST; with an unknown code: ERR_REMOTE_ACCESS with the code', async () => {
    const cut = await seedOf(p3, { fault: ({ bytes }) => ({ bytes: bytes.subarray(0, 5), then: 'close' }) });
    await failure(pullFrom(sessionOf(cut)), 'ERR_PEER_LOST');
    const strange = Buffer.from('2a0000005654434d', 'hex');
    const seed = await seedOf(p3, { fault: () => ({ bytes: strange, then: 'close' }) });
    assert.match((await failure(pullFrom(sessionOf(seed)), 'ERR_REMOTE_ACCESS')).message, /status 42/);
  });
});
