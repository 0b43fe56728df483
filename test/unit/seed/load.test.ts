import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { PortTraffic } from '#src/seed/load/port-traffic.js';
import { sampleRuntime, usageOf } from '#src/seed/load/runtime-metrics.js';
import { sourceLoad } from '#src/seed/load/source-load.js';
import { fakeSysfs } from './support.js';

/** Counters are in words of four bytes: 12.5 GB in one direction take a link of 100 Gb/s one second. */
const secondOf100G = 12_500_000_000n / 4n;

const counters = (sent: bigint, received: bigint): Record<string, string> => ({
  'counters/port_xmit_data': String(sent),
  'counters/port_rcv_data': String(received),
});

async function fastPort(test: TestContext) {
  const sysfs = await fakeSysfs(test);
  let now = 0;
  await sysfs.write('mlx5_0', 1, { rate: '100 Gb/sec (4X EDR)', ...counters(7n, 9n) });
  const traffic = new PortTraffic({ device: 'mlx5_0', port: 1 }, { folder: sysfs.folder, now: () => now });
  const after = async (ms: number, sent: bigint, received: bigint): Promise<number | undefined> => {
    now += ms;
    await sysfs.write('mlx5_0', 1, counters(sent, received));
    return traffic.sample();
  };
  return { sysfs, traffic, after };
}

describe('traffic of an RDMA port', () => {
  it('is the busier direction since the last look, as a part of the rate', async (test) => {
    const { traffic, after } = await fastPort(test);
    assert.equal(await traffic.sample(), undefined, 'nothing to compare with');
    assert.equal(await after(2000, 7n + secondOf100G / 2n, 9n), 0.25);
    assert.equal(await after(1000, 7n + secondOf100G / 2n, 9n + secondOf100G / 5n), 0.2);
    assert.equal(await after(30_000, 7n + secondOf100G / 2n, 9n + secondOf100G / 5n), 0, 'measured to be idle');
  });

  it('is at most 1, and 0 where the counter began anew', async (test) => {
    const { traffic, after } = await fastPort(test);
    await traffic.sample();
    assert.equal(await after(1000, secondOf100G * 3n, 9n), 1);
    assert.equal(await after(1000, 0n, 0n), 0);
  });

  it('is unknown without time, rate or counters', async (test) => {
    const { sysfs, traffic, after } = await fastPort(test);
    await traffic.sample();
    assert.equal(await after(0, 100n, 100n), undefined);
    await sysfs.write('mlx5_0', 1, { rate: 'unknown' });
    assert.equal(await after(1000, 200n, 200n), undefined);
    await sysfs.write('virtual', 1, { rate: '200 Gb/sec (4X HDR)' });
    const virtual = new PortTraffic({ device: 'virtual', port: 1 }, { folder: sysfs.folder });
    assert.deepEqual([await virtual.sample(), await virtual.sample()], [undefined, undefined]);
  });
});

describe('usage of an inference engine', () => {
  it('is its cache, the busiest of its series', () => {
    const vllm =
      '# HELP vllm:kv_cache_usage_perc usage\nvllm:kv_cache_usage_perc{engine="0"} 0.25\nvllm:kv_cache_usage_perc{engine="1"} 7.5e-1 \n';
    assert.equal(usageOf(vllm), 0.75);
    assert.equal(usageOf('sglang:token_usage 0.125\r\n'), 0.125);
    assert.equal(usageOf('dynamo_component_gpu_cache_usage_percent 0.5\nvllm:gpu_cache_usage_perc 0.1\n'), 0.1, "the engine's own first");
  });

  it('stays between 0 and 1', () => {
    assert.equal(usageOf('sglang:token_usage 3'), 1);
    assert.equal(usageOf('sglang:token_usage -1'), 0);
  });

  it('is unknown where nothing known is said', () => {
    for (const text of [
      '',
      'up 1',
      'sglang:token_usage NaN',
      'sglang:token_usage_total 0.5',
      'sglang:token_usage',
      '# sglang:token_usage 0.5',
    ]) {
      assert.equal(usageOf(text), undefined, text);
    }
  });

  it('is asked for over HTTP; what cannot be had is unknown', async (test) => {
    let status = 200;
    const server = createServer((_request, response) => {
      response.writeHead(status).end('sglang:token_usage{model="m"} 0.5\n');
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    test.after(() => server.close());
    const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/metrics`;
    assert.equal(await sampleRuntime(url), 0.5);
    status = 500;
    assert.equal(await sampleRuntime(url), undefined);
    assert.equal(await sampleRuntime('http://127.0.0.1:1/'), undefined);
    assert.equal(await sampleRuntime('no address'), undefined);
  });
});

describe('the load of a seed', () => {
  it('is the largest of what is known', async (test) => {
    const sysfs = await fakeSysfs(test);
    let now = 0;
    const ports = ['mlx5_0', 'mlx5_1', 'gone'].map((device) => ({ device, port: 1 }));
    const load = sourceLoad({ ports, folder: sysfs.folder, now: () => now });
    assert.equal(await load(), undefined);
    for (const device of ['mlx5_0', 'mlx5_1']) await sysfs.write(device, 1, { rate: '100 Gb/sec', ...counters(0n, 0n) });
    assert.equal(await load(), undefined);
    now = 1000;
    await sysfs.write('mlx5_0', 1, counters(secondOf100G / 4n, 0n));
    await sysfs.write('mlx5_1', 1, counters(0n, secondOf100G / 2n));
    assert.equal(await load(), 0.5);
  });

  it('is unknown where there is nothing to ask', async () => {
    assert.equal(await sourceLoad({ ports: [] })(), undefined);
    assert.equal(await sourceLoad({ ports: [], runtimeMetricsUrl: 'http://127.0.0.1:1/' })(), undefined);
  });
});
