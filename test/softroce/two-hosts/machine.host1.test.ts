import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { barrier, device, GID_INDEX, hostIndex, publish, published, rails } from '../../support/softroce.js';

/** ib_read_bw does not say when it listens; this is what it needs in an emulated machine, with room to spare. */
const LISTENING_AFTER_MS = 3000;

test('the hosts meet at names', async () => {
  assert.equal(hostIndex, 1);
  assert.deepEqual(await published('machine.greeting'), { from: 0 });
  await publish('machine.answer', { to: 0, from: hostIndex });
  await barrier('machine.met');
});

for (let rail = 0; rail < rails; rail += 1) {
  test(`${device(rail)} is read by the other host`, async () => {
    const options = ['-d', device(rail), '-x', String(GID_INDEX), '-F', '-s', '65536', '-n', '32', '-p', String(18600 + rail)];
    const server = spawn('ib_read_bw', options, { stdio: 'ignore' });
    const exited = once(server, 'exit');
    await sleep(LISTENING_AFTER_MS);
    await publish(`machine.reader-may-start.${rail}`);
    assert.deepEqual(await exited, [0, null]);
  });
}
