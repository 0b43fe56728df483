import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runChild } from './support.js';

const prelude = `
  import { readFileSync } from 'node:fs';
  import { setTimeout } from 'node:timers/promises';
  import { native } from '#src/native.js';
  const collect = async () => { for (let i = 0; i < 5; i += 1) { gc(); await setTimeout(10); } };
  const mappedMiB = () => Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
`;

async function output(script: string): Promise<{ stdout: string; stderr: string }> {
  const outcome = await runChild(prelude + script, ['--expose-gc']);
  assert.deepEqual([outcome.code, outcome.signal], [0, null], outcome.stderr);
  return outcome;
}

describe('the garbage collector', () => {
  it('frees the memory of forgotten regions, and of forgotten windows', async () => {
    const { stdout } = await output(`
      await (await native().allocate(4096n, 'never')).view(0n, 1);
      await collect();
      const before = mappedMiB();
      await (async () => {
        for (let i = 0; i < 8; i += 1) new Uint8Array((await native().allocate(1n << 30n, 'never')).view(0n, 4096))[0] = i;
      })();
      await collect();
      console.log(mappedMiB() - before < 1024);`);
    assert.equal(stdout, 'true\n');
  });

  it('does not free what a window still shows', async () => {
    const { stdout } = await output(`
      const window = new Uint8Array((await native().allocate(1n << 20n, 'never')).view(4096n, 4096));
      window.fill(7);
      await collect();
      console.log(window.length, window.every((byte) => byte === 7));`);
    assert.equal(stdout, '4096 true\n');
  });

  it('opens a fresh window where an old one was collected', async () => {
    const { stdout } = await output(`
      const region = await native().allocate(1n << 20n, 'never');
      let lost = 0;
      for (let i = 0; i < 500; i += 1) {
        const window = new Uint8Array(region.view(BigInt(i % 100), 64));
        if (i >= 100 && window[0] !== i % 100) lost += 1;
        window[0] = i % 100;
        if (i % 100 === 99) await collect();
      }
      region.close();
      console.log(lost);`);
    assert.equal(stdout, '0\n');
  });

  it('keeps an adopted buffer for its region, and lets go of it afterwards', async () => {
    const { stdout } = await output(`
      let region = native().adoptBuffer(new Uint8Array(1 << 20).fill(9).buffer, 0, 1 << 20);
      const buffers = () => process.memoryUsage().arrayBuffers >= 1 << 20;
      await collect();
      const into = new Uint8Array(4);
      await region.read(1000n, into);
      const kept = buffers();
      region.close();
      await collect();
      console.log(into.join(), kept, buffers());`);
    assert.equal(stdout, '9,9,9,9 true false\n');
  });

  it('does not end a transfer whose handles are all forgotten', async () => {
    const { stdout } = await output(`
      const begin = async () => {
        const from = await native().allocate(64n << 20n, 'never');
        const into = await native().allocate(64n << 20n, 'never');
        const server = await native().listenTcp('127.0.0.1', 0, 1);
        server.serve([from], BigUint64Array.of(from.address), BigUint64Array.of(from.byteLength));
        const lane = await native().connectTcpLane({
          name: 'tcp', host: '127.0.0.1', port: server.port, protocolVersion: 1, connectTimeoutMs: 5000, stallTimeoutMs: 20000,
        });
        const { done } = native().startTransfer({
          remoteAddress: BigUint64Array.of(from.address), length: BigUint64Array.of(from.byteLength),
          localOffset: BigUint64Array.of(0n), region: Uint32Array.of(0), regions: [into],
          bufferAddress: BigUint64Array.of(from.address), bufferLength: BigUint64Array.of(from.byteLength), lanes: [lane],
          sliceBytes: 1 << 20, maxSegments: 16, merge: true,
        });
        return { done, server };
      };
      const { done, server } = await begin();
      gc();
      const outcome = await done;
      await collect();
      console.log(outcome.bytes, outcome.fault, server.counters().bytes);
      await server.close();`);
    assert.equal(stdout, `${String(64n << 20n)}n undefined ${String(64n << 20n)}n\n`);
  });

  it('closes a forgotten server, with one warning', async () => {
    const { stdout, stderr } = await output(`
      process.on('warning', (warning) => console.log(warning.code));
      let ports = [];
      await (async () => { for (let i = 0; i < 3; i += 1) ports.push((await native().listenTcp('127.0.0.1', 0, 1)).port); })();
      await collect();
      const refused = await Promise.all(ports.map((port) => native().connectTcpLane({
        name: 'tcp', host: '127.0.0.1', port, protocolVersion: 1, connectTimeoutMs: 1000, stallTimeoutMs: 1000,
      }).then(() => 'open', (fault) => fault.nativeCode)));
      console.log(refused.join());`);
    assert.equal(stdout, 'WEIGHTCAST_FORGOTTEN_HANDLE\nPEER_LOST,PEER_LOST,PEER_LOST\n');
    assert.match(stderr, /NativeTcpServer.*close\(\)/);
  });
});
