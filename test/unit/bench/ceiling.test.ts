/** Header overhead, against figures that were worked out by hand from the packet formats. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ceilingGBps, efficiency, type Framing, wireBytes } from '#src/bench/link/ceiling.js';
import { ceilingOf, railOf } from '#src/bench/link/link.js';
import type { NativeDevicePort } from '#src/native.js';
import { hardware, softRoce, tcp } from './reports.js';

const KiB = 2 ** 10;
const MiB = 2 ** 20;

describe('the share of a link that is payload', () => {
  const known: readonly (readonly [Framing, number, number, number])[] = [
    ['RoCE v2, IPv4', 64 * KiB, 1024, 92.575],
    ['RoCE v2, IPv4', MiB, 1024, 92.585],
    ['RoCE v2, IPv4', 64 * KiB, 2048, 96.139],
    ['RoCE v2, IPv4', MiB, 2048, 96.15],
    ['RoCE v2, IPv4', 4096, 4096, 97.944],
    ['RoCE v2, IPv4', 64 * KiB, 4096, 98.026],
    ['RoCE v2, IPv4', MiB, 4096, 98.037],
    ['RoCE v2, IPv6', MiB, 1024, 90.941],
    ['RoCE v2, IPv6', MiB, 4096, 97.57],
    ['InfiniBand', MiB, 1024, 97.523],
    ['InfiniBand', MiB, 4096, 99.368],
  ];
  for (const [framing, bytes, mtu, percent] of known) {
    it(`${framing}, ${bytes} bytes, MTU ${mtu}: ${percent} %`, () => {
      assert.equal(Number((efficiency(bytes, mtu, framing) * 100).toFixed(3)), percent);
    });
  }

  it('counts one acknowledgement header for one packet, two for several, and fills up to four bytes', () => {
    assert.equal(wireBytes(4096, 4096, 'RoCE v2, IPv4'), 4096 + 82 + 4);
    assert.equal(wireBytes(4097, 4096, 'RoCE v2, IPv4'), 4097 + 3 + 2 * 82 + 8);
    assert.equal(wireBytes(1, 4096, 'InfiniBand'), 4 + 26 + 4);
  });

  it('of 400 Gb/s makes 49.018 GB/s', () => {
    assert.equal(Number(ceilingGBps(400, MiB, 4096, 'RoCE v2, IPv4').toFixed(3)), 49.018);
    assert.equal(Number(ceilingGBps(100, MiB, 4096, 'RoCE v2, IPv4').toFixed(3)), 12.255);
  });
});

describe('a ceiling', () => {
  it('is that of all rails together', () => {
    const [rail] = hardware.rails;
    const two = { ...hardware, rails: [rail!, { ...rail!, rateGbps: 200 }] };
    assert.equal(ceilingOf(two, MiB)?.toFixed(3), (3 * ceilingGBps(100, MiB, 4096, 'RoCE v2, IPv4')).toFixed(3));
  });

  it('is not claimed for software devices and TCP', () => {
    assert.equal(ceilingOf(softRoce, MiB), null);
    assert.equal(ceilingOf(tcp, MiB), null);
  });
});

describe('a rail', () => {
  const port = {
    device: 'mlx5_0',
    provider: 'mlx5',
    software: false,
    linkLayer: 'Ethernet',
    activeMtu: 4096,
    rateGbps: 400,
    chosenGidIndex: 3,
    gids: [
      { index: 1, gid: 'fe:80:00:00:00:00:00:00:00:00:00:00:00:00:00:01', type: 'IB/RoCE v1', netdev: 'eth0' },
      { index: 2, gid: '20:01:0d:b8:00:00:00:00:00:00:00:00:00:00:00:01', type: 'RoCE v2', netdev: 'eth0' },
      { index: 3, gid: '00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:00:01', type: 'RoCE v2', netdev: 'eth0' },
    ],
  } as unknown as NativeDevicePort;

  it('is framed as the GID in use says', () => {
    assert.equal(railOf(port, undefined).framing, 'RoCE v2, IPv4');
    assert.equal(railOf(port, 2).framing, 'RoCE v2, IPv6');
    assert.equal(railOf(port, 1).framing, 'RoCE v1');
    assert.equal(railOf({ ...port, linkLayer: 'InfiniBand' }, undefined).framing, 'InfiniBand');
  });

  it('of a software device has no rate, whatever its port claims', () => {
    assert.equal(railOf(port, undefined).rateGbps, 400);
    assert.equal(railOf({ ...port, software: true }, undefined).rateGbps, null);
  });
});
