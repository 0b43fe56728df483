import assert from 'node:assert/strict';
import { acceleratorOf, wireOptionsOf } from '#src/cli/options.js';
import { describe, it } from 'node:test';
import { InvalidArgumentError } from 'commander';
import {
  byteSize,
  deviceList,
  devicesAndAccelerator,
  hostAddress,
  hostAndPort,
  integer,
  oneOf,
  seconds,
  serverAddress,
  sharedMemoryName,
} from '#src/cli/parse.js';

function refuses(parse: (text: string) => unknown, ...texts: readonly string[]): void {
  for (const text of texts) {
    assert.throws(
      () => parse(text),
      (error: unknown) => error instanceof InvalidArgumentError && error.message.endsWith('.'),
      `"${text}" must be refused with a sentence`,
    );
  }
}

describe('values of flags', () => {
  it('integers keep to their range and are decimal', () => {
    const parse = integer('a rank', 0, 255);
    assert.deepEqual(['0', '7', '255', '007'].map(parse), [0, 7, 255, 7]);
    refuses(parse, '', '-1', '256', '1.5', '1e2', '0x10', ' 1', 'one', '99999999999999999999');
  });

  it('seconds become milliseconds', () => {
    const parse = seconds('a time', 0);
    assert.deepEqual(['0', '1.5', '30', '0.0004'].map(parse), [0, 1500, 30_000, 0]);
    refuses(parse, '', '-1', '1s', 'Infinity', '1e3', '2147484');
    refuses(seconds('an interval', 0.1), '0.05');
  });

  it('sizes know decimal and binary units', () => {
    const parse = byteSize('a size', 1, 2 ** 50);
    assert.deepEqual(['1', '4096', '256MB', '1MiB', '1.5GB', '2 GiB', '10kb', '1KiB', '7B'].map(parse), [
      1,
      4096,
      256e6,
      2 ** 20,
      1.5e9,
      2 ** 31,
      1e4,
      1024,
      7,
    ]);
    refuses(parse, '', '0', 'MB', '1XB', '-1MB', '1e6', '2PB', '99999TB', '1 MB ');
  });

  it('choices are exact', () => {
    const parse = oneOf('a transport', ['auto', 'rdma', 'tcp']);
    assert.equal(parse('rdma'), 'rdma');
    refuses(parse, '', 'RDMA', 'udp', 'rdma ');
  });

  it('device lists have names, each once', () => {
    assert.deepEqual(deviceList('mlx5_0'), ['mlx5_0']);
    assert.deepEqual(deviceList('rxe0, rxe1,bnxt_re-3'), ['rxe0', 'rxe1', 'bnxt_re-3']);
    refuses(deviceList, '', ',', 'rxe0,', 'rxe0,rxe0', 'rxe0:1', '../x');
  });

  it('devices, one of which may be an accelerator', () => {
    assert.deepEqual(devicesAndAccelerator('cuda:0'), ['cuda:0']);
    assert.deepEqual(devicesAndAccelerator('hip:1, rxe0,rxe1'), ['rxe0', 'rxe1', 'hip:1']);
    assert.deepEqual(devicesAndAccelerator('rxe0'), ['rxe0']);
    assert.deepEqual(acceleratorOf({ device: ['rxe0', 'hip:1'] }), { hip: 1 });
    assert.equal(acceleratorOf({ device: ['rxe0'] }), undefined);
    assert.deepEqual(wireOptionsOf({ device: ['rxe0', 'hip:1'], devicePath: 'staging' }), { devices: ['rxe0'], devicePath: 'staging' });
    assert.deepEqual(wireOptionsOf({ device: ['hip:1'] }), {}, 'all RDMA devices');
    refuses(devicesAndAccelerator, '', 'cuda:', 'xpu:0', 'cuda:0,hip:0', 'cuda:0,', 'rxe0,rxe0,cuda:0', '../x');
  });

  it('host addresses have no port', () => {
    for (const text of ['10.0.0.5', 'fd00::5', '::1', 'node-7.cluster.local', 'localhost']) assert.equal(hostAddress(text), text);
    refuses(hostAddress, '', '10.0.0.5:80', '[::1]', 'a b', 'http://x', '-x', '10.0.0', '1.2.3.4.5', 'a/b');
  });

  it('server addresses are host:port, without the scheme', () => {
    const parse = hostAndPort('the server', 1);
    assert.equal(parse('127.0.0.1:8001'), '127.0.0.1:8001');
    assert.equal(parse('http://mx.local:9/'), 'mx.local:9');
    assert.equal(parse('[::1]:65535'), '[::1]:65535');
    refuses(
      parse,
      '',
      'host',
      'host:',
      ':8001',
      'host:0',
      'host:65536',
      '::1:80',
      '[zz]:1',
      'https://host:1',
      'ftp://host:1',
      'host:1/path',
    );
    assert.equal(hostAndPort('an address', 0)('0.0.0.0:0'), '0.0.0.0:0');
  });

  it('addresses to call keep https://, which means TLS', () => {
    const parse = serverAddress('the server');
    assert.equal(parse('https://mx.local:9/'), 'https://mx.local:9');
    assert.equal(parse('HTTPS://[::1]:9'), 'https://[::1]:9');
    assert.equal(parse('http://mx.local:9'), 'mx.local:9');
    assert.equal(parse('mx.local:9'), 'mx.local:9');
    refuses(parse, 'https://', 'https://mx.local', 'https:mx.local:9', 'https://http://mx.local:9', 'https://https://mx.local:9');
  });

  it('shared memory names are one path component', () => {
    assert.equal(sharedMemoryName('weights'), 'weights');
    assert.equal(sharedMemoryName('/weights'), 'weights');
    refuses(sharedMemoryName, '', '/', 'a/b', '..', '.', 'x'.repeat(255), 'a\0b');
  });
});
