import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUnheard } from '#src/handshake/unheard.js';
import { type EndpointDouble, fault, gidOf, NicDouble } from '../../support/nic-double.js';

/** Hands out the lowest numbers that no open endpoint has, as drivers do. */
class ReusingNic extends NicDouble {
  override async createEndpoint(role: 'initiator' | 'responder', count: number, sendDepth: number): Promise<EndpointDouble> {
    const endpoint = await super.createEndpoint(role, count, sendDepth);
    const taken = new Set(this.open.filter((other) => other !== endpoint).flatMap((other) => [...other.numbers]));
    let next = 100;
    for (const index of endpoint.numbers.keys()) {
      while (taken.has(next)) next++;
      endpoint.numbers[index] = next++;
    }
    return endpoint;
  }
}

test('a device that hands out freed numbers again is asked again, and nothing stays open', async () => {
  const nic = new ReusingNic('mlx5_0', gidOf(1));
  const first = await createUnheard(nic, 2, 20, 'here -> there');
  await first.close();
  const second = await createUnheard(nic, 2, 20, 'here -> there');
  assert.deepEqual([...first.numbers], [100, 101]);
  assert.deepEqual([...second.numbers], [102, 103]);
  await second.close();
  assert.deepEqual([...(await createUnheard(nic, 2, 20, 'here -> there')).numbers], [100, 101], 'only the last list is in the way');
  assert.equal(nic.open.length, 1);
});

test('other paths, and other counts, are not in the way', async () => {
  const nic = new ReusingNic('mlx5_0', gidOf(1));
  await (await createUnheard(nic, 2, 20, 'here -> first')).close();
  await (await createUnheard(nic, 2, 20, 'here -> second')).close();
  await (await createUnheard(nic, 1, 20, 'here -> second')).close();
  assert.equal(nic.endpoints.length, 3);
});

test('a device without room for the second ones: its error, and the first ones are closed', async () => {
  const nic = new ReusingNic('mlx5_0', gidOf(1));
  await (await createUnheard(nic, 2, 20, 'here -> full')).close();
  nic.beforeCreate = async () => {
    if (nic.open.length > 0) throw fault('no queue pairs left', 'VERBS', 'ibv_create_qp');
  };
  await assert.rejects(createUnheard(nic, 2, 20, 'here -> full'), /no queue pairs left/);
  assert.equal(nic.open.length, 0);
});
