import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { address, device, GID_INDEX, hosts, rails } from '../../support/softroce.js';

test('the machine has two rails', () => {
  assert.equal(hosts, 1);
  assert.equal(rails, 2);
});

for (const rail of [0, 1]) {
  test(`${device(rail)} is active, with the full MTU and an IPv4 GID`, async () => {
    const port = `/sys/class/infiniband/${device(rail)}/ports/1`;
    assert.equal((await readFile(`${port}/state`, 'utf8')).trim(), '4: ACTIVE');
    const gid = (await readFile(`${port}/gids/${GID_INDEX}`, 'utf8')).trim();
    const octets = address(0, rail).split('.').map(Number);
    const pairs = [0, 2].map((at) => octets.slice(at, at + 2).reduce((word, octet) => word * 256 + octet, 0));
    assert.equal(gid, `0000:0000:0000:0000:0000:ffff:${pairs.map((word) => word.toString(16).padStart(4, '0')).join(':')}`);
    const mtu = spawnSync('ip', ['-json', 'link', 'show', `rail${rail}`], { encoding: 'utf8' });
    assert.ok((JSON.parse(mtu.stdout) as { mtu: number }[])[0]!.mtu >= 4200, mtu.stdout);
  });
}

test('locked memory is unlimited, as registration needs it', async () => {
  assert.match(await readFile('/proc/self/limits', 'utf8'), /^Max locked memory +unlimited +unlimited/m);
});
