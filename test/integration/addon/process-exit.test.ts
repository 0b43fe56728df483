import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runChild } from './support.js';

/** Handles of every kind that needs no RDMA, and a transfer of 256 MiB that has begun. */
const busy = `
  import { native } from '#src/native.js';
  const from = await native().allocate(256n << 20n, 'never');
  const into = await native().allocate(256n << 20n, 'never');
  const view = new Uint8Array(into.view(0n, 4096));
  const adopted = native().adoptBuffer(new ArrayBuffer(4096), 0, 4096);
  const server = await native().listenTcp('127.0.0.1', 0, 2);
  server.serve([from, adopted], BigUint64Array.of(from.address, adopted.address), BigUint64Array.of(from.byteLength, 4096n));
  const connect = () => native().connectTcpLane({
    name: 'tcp', host: '127.0.0.1', port: server.port, protocolVersion: 1, connectTimeoutMs: 5000, stallTimeoutMs: 20000,
  });
  const idle = await connect();
  const start = async () => native().startTransfer({
    remoteAddress: BigUint64Array.of(from.address), length: BigUint64Array.of(from.byteLength), localOffset: BigUint64Array.of(0n),
    region: Uint32Array.of(0), regions: [into], bufferAddress: BigUint64Array.of(from.address),
    bufferLength: BigUint64Array.of(from.byteLength), lanes: [await connect()], sliceBytes: 1 << 20, maxSegments: 16, merge: true,
  });
`;

async function exits(script: string, code: number): Promise<string> {
  const outcome = await runChild(script);
  assert.deepEqual([outcome.code, outcome.signal], [code, null], outcome.stderr);
  return outcome.stdout;
}

describe('a process with live handles', () => {
  it('ends by itself, with code 0: idle handles hold nothing open', async () => {
    assert.equal(await exits(`${busy} console.log('end');`, 0), 'end\n');
  });

  it('stays alive until a transfer is settled', async () => {
    const script = `${busy} start().then((transfer) => transfer.done).then((outcome) => console.log(outcome.bytes));`;
    assert.equal(await exits(script, 0), `${String(256n << 20n)}n\n`);
  });

  it('stays alive for a transfer that top-level await waits for', async () => {
    assert.equal(await exits(`${busy} const outcome = await (await start()).done; console.log(outcome.fault);`, 0), 'undefined\n');
  });

  it('may call process.exit in the middle of a transfer', async () => {
    await exits(`${busy} const transfer = await start(); while (transfer.progress().bytes === 0n) await null; process.exit(7);`, 7);
  });

  it('may throw in the middle of a transfer', async () => {
    await exits(`${busy} await start(); throw new Error('unexpected');`, 1);
  });

  it('may end while big regions are being made and hashed', async () => {
    const script = `${busy}
      native().checksum([from], Uint32Array.of(0), BigUint64Array.of(0n), BigUint64Array.of(from.byteLength), 2);
      for (let i = 0; i < 20; i += 1) void native().allocate(1n << 20n, 'auto');
      process.exit(0);`;
    await exits(script, 0);
  });

  it('settles many operations in the order in which they end, none twice, none lost', async () => {
    const script = `${busy}
      let settled = 0;
      const all = await Promise.all(Array.from({ length: 2000 }, (_, i) => {
        const bytes = new Uint8Array(8);
        return from.read(BigInt(i), bytes).then(() => (settled += 1));
      }));
      console.log(settled, new Set(all).size);`;
    assert.equal(await exits(script, 0), '2000 2000\n');
  });
});
