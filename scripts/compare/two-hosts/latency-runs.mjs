// Each packet that the seed sends takes 5 ms more.
import { order } from './orders.mjs';
import { peerRun } from './sides.mjs';

const KiB = 1024;
const MiB = 1024 * KiB;
const RUNS = 5;

export async function latencyRuns(own, note) {
  await own.run({ bytes: 16 * MiB, sliceBytes: MiB }); // what only the first pull of a process pays for
  // A short queue would lose what waits in it.
  await order('tc', 'add', 'dev', 'rail0', 'root', 'netem', 'delay', '5ms', 'limit', '20000');
  for (let run = 1; run <= RUNS; run += 1) {
    note({ run, who: 'ib_read_bw 16', ...(await peerRun({ bytes: 64 * KiB, messages: 1024, outstanding: 16 })) });
    note({ run, who: 'weightcast 16', ...(await own.run({ bytes: 64 * MiB, sliceBytes: 64 * KiB, outstanding: 16 })) });
    note({ run, who: 'weightcast 1', ...(await own.run({ bytes: 16 * MiB, sliceBytes: 64 * KiB, outstanding: 1 })) });
  }
}
