/**
 * A process that opens a durable store and publishes without end: what tests kill. A line of output for each publication
 * and status that was acknowledged or failed, and each turn of what `check()` says. Arguments: the folder, and a prefix
 * of worker ids.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { mxSourceId } from '#src/identity/index.js';
import { openDurableStore } from '#src/metadata/stores/durable/index.js';
import { callsOn, Peer } from './p2p-calls.js';
import { identity, READY, tensors } from './p2p-messages.js';

const [folder = '', prefix = ''] = process.argv.slice(2);
const store = await openDurableStore({ folder });
const peer = new Peer(callsOn(store));
const id = mxSourceId(identity);
const lanes = 4;

function say(verb: string, workerId = ''): void {
  process.stdout.write(`${verb} ${workerId}\n`);
}

async function publishForEver(lane: number): Promise<void> {
  for (let index = lane; ; index += lanes) {
    const workerId = `${prefix}${String(index)}`;
    try {
      await peer.publish(workerId, { workerRank: index, tensors: tensors(50) });
    } catch {
      say((await peer.get(id, workerId)).found ? 'failed-but-seen' : 'failed', workerId);
      await sleep(20);
      continue;
    }
    say('published', workerId);
    await peer.update(id, workerId, { workerRank: index, status: READY }).then(
      ({ success }) => {
        say(success ? 'ready' : 'unknown', workerId);
      },
      () => {
        say('not-ready', workerId);
      },
    );
    // Many small turns of the event loop, as a server has them.
    await sleep(0);
  }
}

async function checkForEver(): Promise<void> {
  let before = '';
  for (;;) {
    const now = await store.check().then(
      () => 'works',
      () => 'failing',
    );
    if (now !== before) say(now);
    before = now;
    await sleep(5);
  }
}

await Promise.all([checkForEver(), ...Array.from({ length: lanes }, (_, lane) => publishForEver(lane))]);
