import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  deviceIndex,
  encodeDescriptor,
  preferredBytes,
  rdmaDescriptor,
  type SegmentBuffer,
  type SegmentDescriptor,
  serverName,
  tcpDescriptor,
  usableDevices,
} from '#src/handshake/descriptor.js';
import { decodeDescriptor } from '#src/handshake/descriptor-decode.js';
import { peerReadLimit } from '#src/handshake/frame.js';
import { parseJson } from '#src/handshake/json.js';

const rdmaExample =
  '{"buffers":[' +
  '{"addr":139716164218880,"length":2147483648,"lkey":[1052672,2101248],"name":"cuda:0","rkey":[1052672,2101248]},' +
  '{"addr":139718311702528,"length":536870912,"lkey":[1052928,2101504],"name":"cuda:0","rkey":[1052928,2101504]}],' +
  '"devices":[{"gid":"00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:00:05","lid":0,"name":"mlx5_0"},' +
  '{"gid":"00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:01:05","lid":0,"name":"mlx5_1"}],' +
  '"name":"10.0.0.5:15428","priority_matrix":{"cpu:0":[["mlx5_0","mlx5_1"],[]],"cuda:0":[["mlx5_0"],["mlx5_1"]]},' +
  '"protocol":"rdma","tcp_data_port":0,"tcp_proto_version":1,"timestamp":"2026-08-22 10:15:30.123456"}';
const tcpExample =
  '{"buffers":[{"addr":139716164218880,"length":2147483648,"name":"10.0.0.5:15428"}],"name":"10.0.0.5:15428",' +
  '"protocol":"tcp","tcp_data_port":16233,"tcp_proto_version":2,"timestamp":"2026-08-22 10:15:30.123456"}';

/** The RDMA example with one thing replaced. */
function changed(text: string, replacement: string): unknown {
  assert.ok(rdmaExample.includes(text), `the example has no ${text}`);
  return parseJson(rdmaExample.replace(text, replacement));
}

const devices = [
  { name: 'mlx5_0', gid: '00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:00:05', lid: 0 },
  { name: 'mlx5_1', gid: '00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:01:05', lid: 7 },
];

describe('segment descriptors', () => {
  for (const [protocol, example] of Object.entries({ rdma: rdmaExample, tcp: tcpExample })) {
    it(`of ${protocol} come back byte for byte`, () => {
      const descriptor = decodeDescriptor(parseJson(`${example}\n`));
      assert.equal(descriptor.protocol, protocol);
      assert.equal(encodeDescriptor(descriptor).json, example);
    });
  }

  it('hold what the JSON says', () => {
    const descriptor = decodeDescriptor(parseJson(rdmaExample));
    assert.equal(descriptor.buffers[0]?.address, 139716164218880n);
    assert.deepEqual(descriptor.buffers[1]?.remoteKeys, [1052928, 2101504]);
    assert.equal(descriptor.buffers[1].readable, true);
    assert.deepEqual(descriptor.priorityMatrix.get('cuda:0'), { preferred: ['mlx5_0'], others: ['mlx5_1'] });
    assert.equal(deviceIndex(descriptor, 'mlx5_1'), 1);
    assert.equal(deviceIndex(descriptor, 'mlx5_2'), -1);
  });

  it('come back for any content of ours', () => {
    const buffer = fc
      .record({
        location: fc.string({ minLength: 1 }),
        address: fc.bigInt({ min: 1n, max: 2n ** 64n - 2n }),
        room: fc.bigInt({ min: 1n, max: 2n ** 64n }),
        remoteKeys: fc.tuple(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff)),
        localKeys: fc.tuple(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff)),
      })
      .map(({ room, ...rest }): SegmentBuffer => ({
        ...rest,
        length: room > 2n ** 64n - rest.address ? 2n ** 64n - rest.address : room,
        readable: rest.remoteKeys.some((key) => key !== 0),
      }));
    const extras = fc.option(
      fc.record(
        { version: fc.nat(), tcpDataPort: fc.integer({ min: 1, max: 65535 }), tcpProtoVersion: fc.constantFrom(1, 2) },
        { noNullPrototype: true },
      ),
      { nil: undefined },
    );
    fc.assert(
      fc.property(fc.string(), fc.array(buffer), extras, (name, buffers, weightcast) => {
        const descriptor: SegmentDescriptor = {
          ...rdmaDescriptor({ name, devices, buffers, weightcast }),
          timestamp: undefined,
          rdmaServerName: undefined,
          tcpDataHost: undefined,
        };
        assert.deepEqual(decodeDescriptor(parseJson(encodeDescriptor(descriptor).json)), descriptor);
      }),
    );
  });

  it('read absent and null fields as their defaults, and ignore unknown ones', () => {
    const descriptor = decodeDescriptor(
      parseJson('{"protocol":"tcp","name":null,"buffers":null,"tcp_caps":{"zc":[1]},"metadata_version":"7"}'),
    );
    assert.deepEqual(descriptor, {
      ...tcpDescriptor({ name: '' }),
      tcpProtoVersion: 1,
      timestamp: undefined,
      rdmaServerName: undefined,
      tcpDataHost: undefined,
      weightcast: undefined,
    });
  });

  it('of several transports are read as one of them', () => {
    const mixed = parseJson(
      '{"name":"a:1","protocol":["nvlink","tcp","rdma"],"tcp_data_port":9,"devices":[{"name":"d","gid":"' +
        devices[0]!.gid +
        '"}],"priority_matrix":{"*":[["d"],[]]},"buffers":[' +
        '{"protocol":"nvlink","shm_name":"x"},{"protocol":"tcp","name":"a:1","addr":1,"length":2},' +
        '{"protocol":"rdma","name":"*","addr":3,"length":4,"rkey":[5],"lkey":[6]}]}',
    );
    const rdma = decodeDescriptor(mixed);
    assert.equal(rdma.protocol, 'rdma');
    assert.deepEqual(
      rdma.buffers.map(({ address }) => address),
      [3n],
    );
    const tcp = decodeDescriptor(mixed, { prefer: 'tcp' });
    assert.equal(tcp.protocol, 'tcp');
    assert.deepEqual(
      tcp.buffers.map(({ address }) => address),
      [1n],
    );
  });

  it('keep buffers without keys, as not readable', () => {
    const descriptor = decodeDescriptor(
      changed('"lkey":[1052672,2101248],"name":"cuda:0","rkey":[1052672,2101248]', '"lkey":[],"name":"cuda:0","rkey":[]'),
    );
    assert.deepEqual(
      descriptor.buffers.map(({ readable }) => readable),
      [false, true],
    );
  });

  it('say where the TCP service of Mooncake 0.3.13 is, and of releases before 0.3.5', () => {
    const elsewhere = decodeDescriptor(
      parseJson('{"name":"10.0.0.5:15428","protocol":"tcp","tcp_data_host":"10.1.0.5","tcp_data_port":9}'),
    );
    assert.deepEqual([elsewhere.tcpDataHost, elsewhere.tcpDataPort], ['10.1.0.5', 9]);
    assert.match(encodeDescriptor(elsewhere).json, /"tcp_data_host":"10\.1\.0\.5"/);
    const old = decodeDescriptor(parseJson('{"name":"10.0.0.5:15428","protocol":"tcp","buffers":[]}'));
    assert.deepEqual([old.tcpDataHost, old.tcpDataPort, old.tcpProtoVersion], [undefined, 15429, 1]);
    assert.equal(decodeDescriptor(parseJson('{"name":"10.0.0.5:x","protocol":"tcp"}')).tcpDataPort, 0);
    assert.equal(decodeDescriptor(parseJson('{"name":"10.0.0.5:65535","protocol":"tcp"}')).tcpDataPort, 0);
    assert.equal(decodeDescriptor(parseJson('{"name":"10.0.0.5:15428","protocol":"tcp","tcp_data_port":0}')).tcpDataPort, 0);
  });

  it('keep buffers whose keys are all 0, as not readable', () => {
    const descriptor = decodeDescriptor(changed('"rkey":[1052672,2101248]', '"rkey":[0,0]'));
    assert.deepEqual(
      descriptor.buffers.map(({ readable }) => readable),
      [false, true],
    );
    assert.deepEqual(usableDevices(descriptor), ['mlx5_0', 'mlx5_1']);
  });

  it('put GIDs into one form', () => {
    const descriptor = decodeDescriptor(changed('00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:00:05', '0:0:0:0:0:0:0:0:0:0:FF:FF:A:0:0:5'));
    assert.equal(descriptor.devices[0]?.gid, devices[0]!.gid);
  });

  it('carry our extras under one key', () => {
    const json = encodeDescriptor(
      rdmaDescriptor({ name: 'a:1', devices, weightcast: { version: 1, tcpDataPort: 16000, tcpProtoVersion: 2 } }),
    ).json;
    assert.match(json, /"weightcast":\{"tcp_data_port":16000,"tcp_proto_version":2,"version":1\}\}$/);
    assert.deepEqual(decodeDescriptor(parseJson('{"protocol":"tcp","weightcast":{"version":3,"later":[]}}')).weightcast, {
      version: 3,
      tcpDataPort: undefined,
      tcpProtoVersion: undefined,
    });
  });

  it('say when Mooncake readers would refuse them', () => {
    const buffers = Array.from({ length: 20_000 }, (_, index): SegmentBuffer => ({
      location: 'cpu:0',
      address: 139716164218880n + BigInt(index) * 2n ** 20n,
      length: 2n ** 20n,
      remoteKeys: [1052672, 2101248],
      readable: true,
    }));
    const small = encodeDescriptor(rdmaDescriptor({ name: 'a:1', devices, buffers: buffers.slice(0, 5000) }));
    assert.equal(small.exceedsPeerLimit, false);
    assert.ok(small.frameBytes < peerReadLimit);
    const large = encodeDescriptor(rdmaDescriptor({ name: 'a:1', devices, buffers }));
    assert.equal(large.exceedsPeerLimit, true);
    assert.equal(large.frameBytes, Buffer.byteLength(large.json) + 2);
    // What Mooncake takes ends at 1 MiB exactly.
    const { frameBytes } = encodeDescriptor(tcpDescriptor({ name: '' }));
    for (const [bytes, exceeds] of [
      [2 ** 20 - 1, false],
      [2 ** 20, false],
      [2 ** 20 + 1, true],
    ] as const) {
      const encoded = encodeDescriptor(tcpDescriptor({ name: 'x'.repeat(bytes - frameBytes) }));
      assert.deepEqual([encoded.frameBytes, encoded.exceedsPeerLimit], [bytes, exceeds]);
    }
  });

  it('are refused by the encoder when a buffer lacks a device’s key', () => {
    const buffer: SegmentBuffer = { location: 'cpu:0', address: 1n, length: 1n, remoteKeys: [1], readable: true };
    assert.throws(() => encodeDescriptor(rdmaDescriptor({ name: 'a:1', devices, buffers: [buffer] })), { code: 'ERR_INVALID_ARGUMENT' });
  });

  it('with 20 000 buffers decode in under 100 ms', () => {
    const buffers = Array.from({ length: 20_000 }, (_, index): SegmentBuffer => ({
      location: 'cuda:3',
      address: 2n ** 63n + BigInt(index) * 2n ** 20n,
      length: 2n ** 20n,
      remoteKeys: [1052672, 2101248],
      readable: true,
    }));
    const { json } = encodeDescriptor(rdmaDescriptor({ name: 'a:1', devices, buffers }));
    // Processor time, and the best of several runs: other processes share the machine.
    const times = Array.from({ length: 8 }, () => {
      const start = process.cpuUsage();
      assert.equal(decodeDescriptor(parseJson(json)).buffers.length, 20_000);
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1000;
    });
    assert.ok(Math.min(...times) < 100, `${Math.min(...times).toFixed(1)} ms`);
  });
});

describe('hostile segment descriptors', () => {
  const rejected: [string, string, string, RegExp][] = [
    ['an address of 0', '"addr":139716164218880', '"addr":0', /buffers\[0\]\.addr.*received 0/],
    ['a negative address', '"addr":139716164218880', '"addr":-1', /buffers\[0\]\.addr/],
    ['an address beyond 64 bits', '"addr":139716164218880', '"addr":18446744073709551616', /buffers\[0\]\.addr/],
    ['a fraction as address', '"addr":139716164218880', '"addr":1.5', /buffers\[0\]\.addr/],
    ['an address in quotes', '"addr":139716164218880', '"addr":"139716164218880"', /buffers\[0\]\.addr.*received "139716164218880"/],
    ['no length', '"length":536870912,', '', /buffers\[1\]\.length.*received nothing/],
    [
      'a range beyond the address space',
      '"addr":139716164218880,"length":2147483648',
      '"addr":18446744073709551615,"length":2',
      /buffers\[0\]\.length/,
    ],
    ['a key beyond 32 bits', '"rkey":[1052928,2101504]', '"rkey":[4294967296,1]', /buffers\[1\]\.rkey/],
    ['a key in quotes', '"rkey":[1052928,2101504]', '"rkey":["1",2]', /buffers\[1\]\.rkey/],
    [
      'too few keys',
      '"lkey":[1052928,2101504],"name":"cuda:0","rkey":[1052928,2101504]',
      '"lkey":[1],"name":"a","rkey":[1]',
      /buffers\[1\]\.rkey.*array of 1/,
    ],
    ['uneven keys', '"lkey":[1052928,2101504]', '"lkey":[1]', /buffers\[1\]\.lkey/],
    ['a buffer without location', '"lkey":[1052672,2101248],"name":"cuda:0"', '"lkey":[1052672,2101248],"name":""', /buffers\[0\]\.name/],
    ['a buffer that is none', '"buffers":[', '"buffers":[7,', /buffers\[0\]/],
    ['buffers that are no array', '"devices":[', '"buffers":{},"devices":[', /buffers/],
    ['a device without name', '"lid":0,"name":"mlx5_0"', '"lid":0', /devices\[0\]\.name/],
    ['two devices of one name', '"name":"mlx5_1"', '"name":"mlx5_0"', /devices/],
    [
      'a GID of 15 bytes',
      '00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:01:05',
      '00:00:00:00:00:00:00:00:00:ff:ff:0a:00:01:05',
      /devices\[1\]\.gid/,
    ],
    ['a GID in the usual notation', '00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:01:05', '::ffff:10.0.1.5', /devices\[1\]\.gid/],
    ['a LID beyond 16 bits', '"lid":0,"name":"mlx5_0"', '"lid":65536,"name":"mlx5_0"', /devices\[0\]\.lid/],
    ['a matrix row of one list', '[["mlx5_0","mlx5_1"],[]]', '[["mlx5_0","mlx5_1"]]', /priority_matrix/],
    ['a matrix row of numbers', '[["mlx5_0","mlx5_1"],[]]', '[[1],[]]', /priority_matrix/],
    [
      'a matrix that is a list',
      '"priority_matrix":{"cpu:0":[["mlx5_0","mlx5_1"],[]],"cuda:0":[["mlx5_0"],["mlx5_1"]]}',
      '"priority_matrix":[]',
      /priority_matrix/,
    ],
    ['a name that is a number', '"name":"10.0.0.5:15428"', '"name":5', /as name, received 5/],
    ['a port beyond 16 bits', '"tcp_data_port":0', '"tcp_data_port":70000', /tcp_data_port/],
    ['extras that are no object', '"tcp_data_port":0', '"tcp_data_port":0,"weightcast":[]', /weightcast/],
    ['extras of a wrong type', '"tcp_data_port":0', '"tcp_data_port":0,"weightcast":{"tcp_data_port":"x"}', /weightcast\.tcp_data_port/],
    ['no protocol', '"protocol":"rdma",', '', /protocol/],
    ['a protocol that is a number', '"protocol":"rdma"', '"protocol":[1]', /protocol/],
  ];
  for (const [what, text, replacement, message] of rejected) {
    it(`are rejected as a whole for ${what}`, () => {
      assert.throws(() => decodeDescriptor(changed(text, replacement), { peer: '10.0.0.5:15428' }), {
        code: 'ERR_PROTOCOL',
        peer: '10.0.0.5:15428',
        message,
      });
    });
  }

  it('of a transport that we do not read say which', () => {
    for (const protocol of ['nvlink', 'efa', '']) {
      assert.throws(() => decodeDescriptor({ protocol }), { code: 'ERR_TRANSPORT_UNAVAILABLE' });
    }
    assert.throws(() => decodeDescriptor({ protocol: ['nvlink', 'cxl'] }), /nvlink.*cxl/);
  });

  it('throw nothing but our errors', () => {
    const field = fc.oneof(fc.jsonValue(), fc.constantFrom('rdma', 'tcp'));
    const shape = fc.dictionary(
      fc.constantFrom('name', 'protocol', 'devices', 'buffers', 'priority_matrix', 'tcp_data_port', 'weightcast'),
      field,
    );
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), shape), (value) => {
        try {
          decodeDescriptor(value);
        } catch (error) {
          assert.match((error as { code: string }).code, /^ERR_(PROTOCOL|TRANSPORT_UNAVAILABLE)$/);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('choosing devices', () => {
  const base = decodeDescriptor(parseJson(rdmaExample));

  it('leaves out devices that are not in the matrix', () => {
    const withPlaceholder: SegmentDescriptor = { ...base, devices: [{ name: 'broken', gid: devices[0]!.gid, lid: 0 }, ...base.devices] };
    assert.deepEqual(usableDevices(withPlaceholder), ['mlx5_0', 'mlx5_1']);
    assert.equal(deviceIndex(withPlaceholder, 'mlx5_0'), 1);
    assert.deepEqual(usableDevices({ ...base, priorityMatrix: new Map() }), []);
  });

  it('leaves out devices that have no key of a buffer, though they are in the matrix', () => {
    const keyless = decodeDescriptor(changed('"rkey":[1052672,2101248]', '"rkey":[0,2101248]'));
    assert.deepEqual(usableDevices(keyless), ['mlx5_1']);
  });

  it('ignores names in the matrix that no device has', () => {
    assert.deepEqual(usableDevices({ ...base, priorityMatrix: new Map([['*', { preferred: ['ghost', 'mlx5_1'], others: [] }]]) }), [
      'mlx5_1',
    ]);
  });

  it('counts for a device the readable bytes of the places that prefer it', () => {
    const buffer = (location: string, length: bigint, readable = true): SegmentBuffer => ({
      ...{ location, address: 4096n, length, remoteKeys: [1, 2], readable },
    });
    const buffers = [buffer('cpu:0', 100n), buffer('cuda:0', 30n), buffer('cuda:0', 7n), buffer('cuda:0', 1000n, false)];
    const listed = { ...base, buffers: [...buffers, buffer('cuda:9', 5n)] };
    assert.deepEqual(
      [...preferredBytes(listed)],
      [
        ['mlx5_0', 137n],
        ['mlx5_1', 100n],
      ],
    );
    const starred = new Map([...base.priorityMatrix, ['*', { preferred: ['mlx5_1', 'mlx5_1'], others: ['mlx5_0'] }] as const]);
    assert.deepEqual(
      [...preferredBytes({ ...listed, priorityMatrix: starred })],
      [
        ['mlx5_0', 137n],
        ['mlx5_1', 105n],
      ],
    );
  });

  it('builds NIC paths from rdma_server_name where there is one', () => {
    assert.equal(serverName(base), '10.0.0.5:15428');
    assert.equal(
      serverName(decodeDescriptor(changed('"protocol"', '"rdma_server_name":"192.168.0.5:15428","protocol"'))),
      '192.168.0.5:15428',
    );
  });
});
