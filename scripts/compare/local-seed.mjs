// A seed of so many random bytes in a process of its own: `node local-seed.mjs SERVER MODEL BYTES shared|anonymous`.
import { randomFillSync } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { Region, seedTensors } from '../../dist/index.js';

const [server, modelName, bytes, memory] = process.argv.slice(2);
const name = `weightcast-compare-${process.pid}`;
const region = memory === 'shared' ? await Region.createShared(name, BigInt(bytes)) : await Region.allocate(BigInt(bytes));
if (memory === 'shared') unlinkSync(`/dev/shm/${name}`);
const piece = 64 << 20;
for (let at = 0; at < Number(bytes); at += piece) randomFillSync(region.view(BigInt(at), Math.min(piece, Number(bytes) - at)));
const count = 64;
const each = BigInt(bytes) / BigInt(count);
const tensors = Array.from({ length: count }, (_, index) => ({
  name: `tensor.${index}`,
  dtype: 'U8',
  data: { region, offset: BigInt(index) * each, byteLength: each },
}));
const seed = await seedTensors(tensors, { identity: { modelName }, server, host: '127.0.0.1', drainTimeoutMs: 0 });
console.log(JSON.stringify({ event: 'ready' }));
process.once('SIGTERM', () => void seed.close());
