// A seed of known bytes in memory, with a metadata server of its own: `offer-process.mjs SPEC` with { name, tensors: [count, bytes],
// wire } as JSON; says `{"event":"ready"}` and serves until it is told to end.
import { once } from 'node:events';
import { openOffer } from '../../dist/bench/source/offer.js';
import { silentLogger } from '../../dist/observe/logger.js';

const { name, tensors, wire } = JSON.parse(process.argv[2]);
const [count, bytes] = tensors;
const offer = await openOffer({
  listen: '127.0.0.1:0',
  name,
  specs: Array.from({ length: count }, (_, index) => ({ name: `tensor.${index}`, dtype: 'U8', shape: [bytes] })),
  checksums: true,
  wire,
  signal: new AbortController().signal,
  logger: silentLogger,
});
console.log(JSON.stringify({ event: 'ready', address: offer.address }));
await once(process, 'SIGTERM');
await offer[Symbol.asyncDispose]();
