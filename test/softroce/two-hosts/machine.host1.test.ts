import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { barrier, device, GID_INDEX, hostIndex, publish, published, rails } from '../../support/softroce.js';

/** Returns once something on this host listens on the port: ib_read_bw itself does not say when it does. */
async function listening(port: number): Promise<void> {
  const entry = new RegExp(`:${port.toString(16).toUpperCase()} [0-9A-F:]+ 0A `);
  for (let tries = 0; tries < 300; tries += 1) {
    if (entry.test(await readFile('/proc/net/tcp', 'utf8')) || entry.test(await readFile('/proc/net/tcp6', 'utf8'))) return;
    await sleep(100);
  }
  throw new Error(`nothing listens on port ${port} after 30 s`);
}

test('the hosts meet at names', async () => {
  assert.equal(hostIndex, 1);
  assert.deepEqual(await published('machine.greeting'), { from: 0 });
  await publish('machine.answer', { to: 0, from: hostIndex });
  await barrier('machine.met');
});

for (let rail = 0; rail < rails; rail += 1) {
  test(`${device(rail)} is read by the other host`, async () => {
    const port = 18600 + rail;
    const options = ['-d', device(rail), '-x', String(GID_INDEX), '-F', '-s', '65536', '-n', '32', '-p', String(port)];
    const server = spawn('ib_read_bw', options, { stdio: 'ignore' });
    const exited = once(server, 'exit');
    await listening(port);
    await publish(`machine.reader-may-start.${rail}`);
    assert.deepEqual(await exited, [0, null]);
  });
}
