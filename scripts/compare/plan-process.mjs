// One run of plan.mjs: `plan-process.mjs COUNT contiguous|shuffled` prints what a tensor costs, in ns and bytes.
import { readFileSync, writeFileSync } from 'node:fs';
import { native } from '../../dist/native.js';
import { Region } from '../../dist/region.js';
import { makeCatalog } from '../../dist/target/catalog.js';
import { layOut } from '../../dist/target/destinations/layout.js';
import { columnsOf } from '../../dist/target/wire.js';

const count = Number(process.argv[2]);
const order = process.argv[3];
/** Small, so that a million fit beside each other; planning reads none of the bytes. */
const TENSOR_BYTES = 512n;
const FIRST_ADDRESS = 1n << 44n;
/** As many reads share an iovec, or the scatter elements of a NIC, in a pull. */
const MAX_SEGMENTS = 1024;
/** Plans in this process; times are their medians. */
const PLANS = 5;

const place = order === 'shuffled' ? shuffled(count) : Array.from({ length: count }, (_, index) => index);
const published = place.map((at, index) => ({
  name: `model.layers.${index}.weight`,
  addr: FIRST_ADDRESS + BigInt(at) * TENSOR_BYTES,
  size: TENSOR_BYTES,
  dtype: 'BF16',
}));

const [catalog, catalogMs] = timed(() => makeCatalog('plan', published, undefined));
const [layout, layoutMs] = timed(() => layOut(catalog));
const region = await Region.allocate(layout.bytes);
const at = layout.tensors.map((offset) => ({ region: 0, offset }));
const [columns, columnsMs] = timed(() => columnsOf({ tensors: catalog.tensors, at, regions: [region.handle] }));

// What planning adds to the resident size is that of the plan and what it is made from, once garbage is gone.
globalThis.gc();
const [before, first] = [residentBytes('VmRSS'), await planned()];
const planBytes = residentBytes('VmHWM') - before;
const plans = [first];
while (plans.length < PLANS) plans.push(await planned());
const middle = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

const nanoseconds = (ms) => (ms * 1e6) / count;
console.log(
  JSON.stringify({
    planNs: nanoseconds(middle(plans.map(({ planMs }) => planMs))),
    startNs: nanoseconds(middle(plans.map(({ startMs }) => startMs))),
    planBytes: planBytes / count,
    catalogNs: nanoseconds(catalogMs),
    layoutNs: nanoseconds(layoutMs),
    columnsNs: nanoseconds(columnsMs),
    reads: first.slices,
  }),
);
region.close();

/** As a pull plans. Without lanes nothing is read, which is the one fault that the outcome may have. */
async function planned() {
  writeFileSync('/proc/self/clear_refs', '5');
  const [running, startMs] = timed(() =>
    native().startTransfer({
      ...columns,
      regions: [region.handle],
      bufferAddress: BigUint64Array.of(FIRST_ADDRESS),
      bufferLength: BigUint64Array.of(BigInt(count) * TENSOR_BYTES),
      lanes: [],
      sliceBytes: 1 << 20,
      maxSegments: MAX_SEGMENTS,
      merge: true,
    }),
  );
  const { planMs, slices, fault } = await running.done;
  if (fault?.nativeCode !== 'INVALID_ARGUMENT' || slices === 0) throw fault ?? new Error('planned no reads');
  return { planMs, slices, startMs };
}

function timed(work) {
  const began = performance.now();
  const result = work();
  return [result, performance.now() - began];
}

/** `VmRSS`, or `VmHWM`: its highest since clear_refs was written to. */
function residentBytes(field) {
  return 1024 * Number(new RegExp(`${field}:\\s*(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))[1]);
}

/** Fisher and Yates, by a generator of its own: the same every time. */
function shuffled(length) {
  const result = Array.from({ length }, (_, index) => index);
  let state = 1;
  for (let last = length - 1; last > 0; last -= 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = state % (last + 1);
    [result[last], result[other]] = [result[other], result[last]];
  }
  return result;
}
