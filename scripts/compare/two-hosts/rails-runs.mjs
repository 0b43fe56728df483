// Two rails: as they are, and one limited to a quarter of the other. What both can do is limited by rate there, since two
// emulated processors are busy with one rail already.
import { order } from './orders.mjs';

const MiB = 2 ** 20;
const RUNS = 5;
const BYTES = 128 * MiB;
const FAST_MBIT = 64;

const both = ['rxe0', 'rxe1'];

export async function railsRuns(own, note) {
  await own.run({ bytes: 32 * MiB, sliceBytes: MiB, devices: both }); // what only the first pull of a process pays for
  for (let run = 1; run <= RUNS; run += 1) {
    note({ run, who: 'equal', ...(await own.run({ bytes: BYTES, sliceBytes: MiB, devices: both })) });
  }
  await limit('rail0', FAST_MBIT);
  await limit('rail1', FAST_MBIT / 4);
  for (let run = 1; run <= RUNS; run += 1) {
    note({ run, who: 'fast alone', ...(await own.run({ bytes: BYTES / 2, sliceBytes: MiB, devices: ['rxe0'] })) });
    note({ run, who: 'slow alone', ...(await own.run({ bytes: BYTES / 8, sliceBytes: MiB, devices: ['rxe1'] })) });
    note({ run, who: 'both', ...(await own.run({ bytes: BYTES, sliceBytes: MiB, devices: both })) });
  }
}

async function limit(rail, mbit) {
  await order('tc', 'add', 'dev', rail, 'root', 'netem', 'rate', `${mbit}mbit`, 'limit', '20000');
}
