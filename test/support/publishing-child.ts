/**
 * A process that opens a durable store and publishes without end, one line of output for each publication that was
 * acknowledged: what tests kill. Arguments: the folder, and a prefix of worker ids.
 */
import { mxSourceId } from '#src/identity/index.js';
import { openDurableStore } from '#src/metadata/stores/durable/index.js';
import { Peer, callsOn } from './p2p-calls.js';
import { identity, READY, tensors } from './p2p-messages.js';

const [folder = '', prefix = ''] = process.argv.slice(2);
const peer = new Peer(callsOn(await openDurableStore({ folder })));
const lanes = 4;

async function publishForEver(lane: number): Promise<void> {
  for (let index = lane; ; index += lanes) {
    const workerId = `${prefix}${String(index)}`;
    await peer.publish(workerId, { workerRank: index, tensors: tensors(50) });
    process.stdout.write(`published ${workerId}\n`);
    await peer.update(mxSourceId(identity), workerId, { workerRank: index, status: READY });
    process.stdout.write(`ready ${workerId}\n`);
  }
}

await Promise.all(Array.from({ length: lanes }, (_, lane) => publishForEver(lane)));
