// One packet of a hundred that the seed sends is lost.
import { order } from './orders.mjs';
import { peerRun } from './sides.mjs';

const MiB = 2 ** 20;
const RUNS = 5;
const BYTES = 64 * MiB;

const peers = { 'ib_read_bw 64 KiB': 64 * 1024, 'ib_read_bw 1 MiB': MiB };

export async function lossRuns(own, note) {
  await own.run({ bytes: 16 * MiB, sliceBytes: MiB }); // what only the first pull of a process pays for
  await order('tc', 'add', 'dev', 'rail0', 'root', 'netem', 'loss', '1%');
  for (let run = 1; run <= RUNS; run += 1) {
    note({ run, who: 'weightcast', ...(await own.run({ bytes: BYTES, sliceBytes: MiB })) });
    for (const [who, bytes] of Object.entries(peers)) {
      note({ run, who, ...(await peerRun({ bytes, messages: BYTES / 2 / bytes, outstanding: 16 })) });
    }
  }
}
