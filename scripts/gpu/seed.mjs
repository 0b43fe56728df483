// Weights in the memory of a GPU, seeded from a process of their own: `seed.mjs SPEC` with { bytes, device, devicePath, transport } as JSON.
// Says `{"event":"ready"}` and what the seed did; serves until it is told to end.
import { once } from 'node:events';
import { MetadataServer, Region, seedTensors, silentLogger } from '../../dist/index.js';

const PIECE = 16 << 20;
const { bytes, device, devicePath, transport } = JSON.parse(process.argv[2]);

const server = await MetadataServer.listen({ listen: '127.0.0.1:0', logger: silentLogger });
const region = await Region.allocateOn({ cuda: device }, BigInt(bytes));
for (let at = 0; at < bytes; at += PIECE) {
  const words = new Uint32Array(Math.min(PIECE, bytes - at) / 4);
  for (let i = 0; i < words.length; i += 1) words[i] = Math.imul(at / 4 + i, 2654435761);
  await region.write(BigInt(at), new Uint8Array(words.buffer));
}
const tensors = Array.from({ length: bytes / PIECE }, (_, index) => ({
  name: `tensor.${index}`,
  dtype: 'U8',
  data: { region, offset: BigInt(index * PIECE), byteLength: BigInt(PIECE) },
}));
const seed = await seedTensors(tensors, {
  identity: { modelName: 'gpu-check' },
  server: server.address,
  host: '127.0.0.1',
  transport,
  devicePath,
});
console.log(JSON.stringify({ event: 'ready', address: server.address, deviceMemory: seed.summary.deviceMemory }));
await once(process, 'SIGTERM');
await seed.close();
region.close();
await server.close();
