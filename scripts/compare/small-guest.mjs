// The measuring half of small.mjs. Runs inside the Soft-RoCE machine: `small-guest.mjs RUNS`; leaves runs.json.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pull } from '../../dist/index.js';
import { usedMemory } from './memory.mjs';
import { openOffer } from './offer.mjs';
import { versionOf } from './processes.mjs';
import { shuffledIndex } from './shuffled.mjs';
import { alternating } from './turns.mjs';

const RUNS = Number(process.argv[2]);
/** Less: what is judged of them is how many reads they take, and that does not vary. */
const MANY_RUNS = 5;
/** @type {import('../../dist/bench/source/offer.js').Wire} */
const wire = { transport: 'rdma', devices: ['rxe0'], gidIndex: 1, host: '127.0.0.1' };

/** @type {[count: number, bytes: number]} */
const ONE = [1, 48 * 2 ** 20];
/** @type {[count: number, bytes: number]} */
const SMALL = [3_000, 16 * 1024];
/** @type {[count: number, bytes: number]} */
const MANY = [100_000, 4 * 1024];

const [one, small, many] = [await offered('one', ONE), await offered('small', SMALL), await offered('many', MANY)];
const readers = {
  one: await reader(one, ONE),
  contiguous: await reader(small, SMALL),
  shuffled: await reader(small, SMALL, shuffledIndex),
};
const runs = await alternating('48 MiB', RUNS, readers);
// Not in turn with the others: they would find the caches full of it.
runs.push(...(await alternating('100 000 tensors of 4 KiB', MANY_RUNS, { many: await reader(many, MANY, shuffledIndex) })));
for (const seed of [one, small, many]) await seed.stop();

writeFileSync(
  path.join(process.env.RDMA_OUT, 'runs.json'),
  JSON.stringify({
    runs,
    versions: {
      rdmaCore: versionOf('dpkg-query', '-W', '-f', '${Version}', 'ibverbs-providers'),
      kernel: versionOf('uname', '-r'),
      node: process.version,
    },
  }),
);

/** A seed of known bytes in a process of its own. */
function offered(name, tensors) {
  return openOffer({ name: `compare-small-${name}`, tensors, wire });
}

/**
 * Pulls an offer into memory of this process; only the wire phase counts.
 * @param {{ from: { identity: object, server: string } }} offer
 * @param {[count: number, bytes: number]} tensors
 * @param {(index: number, count: number) => number} [placeOf] where each lies here
 */
async function reader({ from }, tensors, placeOf = (index) => index) {
  const [count, size] = tensors;
  const memory = await usedMemory(tensors, (index) => placeOf(index, count));
  return {
    async read() {
      memory.wipe();
      const result = await pull({ ...from, ...wire, into: { kind: 'tensors', tensors: memory.tensors } });
      const { transport, transportReason, verified, phases, wireGBps, lanes, workRequests } = result;
      if (transport !== 'rdma') throw new Error(`the pull went over ${transport}: ${transportReason}`);
      if (verified?.tensors !== count) throw new Error(`verified ${JSON.stringify(verified)} of ${count} tensors`);
      const retransmits = lanes.reduce((sum, lane) => sum + lane.retransmits, 0);
      return { tensors: count, bytes: count * size, seconds: phases.wire / 1000, reads: workRequests, wireGBps, retransmits, phases };
    },
  };
}
