/** Under which name seeds know a process that pulls more than once. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { LocalEnd } from '#src/target/local-end.js';
import { gidOf, NicDouble } from '../../support/nic-double.js';

const nics = [new NicDouble('mlx5_0', gidOf(1))];

test('pulls one after the other have one name, pulls at the same time have their own', async () => {
  const first = await LocalEnd.open('127.0.0.1', nics);
  const beside = await LocalEnd.open('127.0.0.1', nics);
  assert.notEqual(first.name, beside.name);
  await first.close();
  await first.close();
  const next = await LocalEnd.open('127.0.0.1', nics);
  assert.equal(next.name, first.name);
  assert.equal(next.descriptor.name, next.name);
  const third = await LocalEnd.open('127.0.0.1', nics);
  assert.ok(![next.name, beside.name].includes(third.name));
  for (const end of [beside, next, third]) await end.close();
});

test('other devices or another host are never known under a name that stood for these', async () => {
  const first = await LocalEnd.open('127.0.0.1', [new NicDouble('mlx5_1', gidOf(2))]);
  await first.close();
  for (const [host, device, gid] of [
    ['127.0.0.1', 'mlx5_1', gidOf(3)],
    ['127.0.0.1', 'mlx5_2', gidOf(2)],
    ['127.0.0.2', 'mlx5_1', gidOf(2)],
  ] as const) {
    const end = await LocalEnd.open(host, [new NicDouble(device, gid)]);
    assert.notEqual(end.name.split(':')[1], first.name.split(':')[1]);
    await end.close();
  }
});

test('a name whose port somebody else has by now is given up', async () => {
  const first = await LocalEnd.open('127.0.0.1', []);
  await first.close();
  const other = createServer().listen(Number(first.name.split(':')[1]), '0.0.0.0');
  await once(other, 'listening');
  const next = await LocalEnd.open('127.0.0.1', []);
  assert.notEqual(next.name, first.name);
  await next.close();
  other.close();
});
