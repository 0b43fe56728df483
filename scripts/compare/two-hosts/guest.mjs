// The measuring half of latency, loss and rails: `guest.mjs NAME` on both of two Soft-RoCE machines. Host 1 has the bytes and does
// what it is told; host 0 measures and leaves runs.json.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { latencyRuns } from './latency-runs.mjs';
import { lossRuns } from './loss-runs.mjs';
import { obey, order } from './orders.mjs';
import { railsRuns } from './rails-runs.mjs';
import { OwnSide, seedSide, versions } from './sides.mjs';

const MiB = 2 ** 20;
const BUFFER = 128 * MiB;

if (process.env.HOST_INDEX === '1') {
  await obey(seedSide(BUFFER));
} else {
  const measure = { latency: latencyRuns, loss: lossRuns, rails: railsRuns }[process.argv[2]];
  const own = await OwnSide.open();
  const runs = [];
  const note = (run) => {
    runs.push(run);
    const lanes = (run.lanes ?? []).map(({ name, bytes, retransmits }) => `, ${name} ${bytes / MiB} MiB, ${retransmits} retransmits`);
    console.log(`run ${run.run}, ${run.who}: ${run.GBps.toFixed(4)} GB/s${lanes.join('')}`);
  };
  await measure(own, note);
  await own.close();
  await order('end');
  writeFileSync(path.join(process.env.RDMA_OUT, 'runs.json'), JSON.stringify({ runs, versions: versions() }));
}
