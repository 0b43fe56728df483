import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { address, barrier, device, GID_INDEX, hostIndex, publish, published, rails } from '../../support/softroce.js';

test('the hosts meet at names', async () => {
  assert.equal(hostIndex, 0);
  await publish('machine.greeting', { from: hostIndex });
  assert.deepEqual(await published('machine.answer'), { to: 0, from: 1 });
  await barrier('machine.met');
});

test('a name that nobody publishes is an error that says so', async () => {
  await assert.rejects(published('machine.nobody', 60), /host 0: nobody published 'machine\.nobody' within 60 ms/);
});

for (let rail = 0; rail < rails; rail += 1) {
  test(`${device(rail)} reads from the other host's memory`, async () => {
    await published(`machine.reader-may-start.${rail}`);
    const options = ['-d', device(rail), '-x', String(GID_INDEX), '-F', '-s', '65536', '-n', '32', '-p', String(18600 + rail)];
    const reader = spawnSync('ib_read_bw', [...options, address(1, rail)], { encoding: 'utf8' });
    assert.equal(reader.status, 0, reader.stdout + reader.stderr);
    assert.match(reader.stdout, /Mtu +: 4096\[B\]/);
  });
}
