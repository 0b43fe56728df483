/** A seed that SGLang's processes find: when it answers, what it says, and beside which server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mxSourceId, pull, seedTensors, type Seed, type SeedOptions, type SeedTensor } from '#src/index.js';
import { byteTensors, startServer } from '../../support/cluster.js';

const identity = { modelName: 'test/sglang' };
const base = { identity, transport: 'tcp', host: '127.0.0.1' } as const;

/** What a target is told of rank N: session id and [address, numel, element size] by name. Addresses here are below 2^53. */
async function ask(
  url: string,
  rank = 0,
): Promise<{ readonly status: number; readonly info: readonly [string, Record<string, number[]>] }> {
  const response = await fetch(`${url}/get_remote_instance_transfer_engine_info?rank=${rank}`);
  const answer = (await response.json()) as { remote_instance_transfer_engine_info: [string, Record<string, number[]>] };
  return { status: response.status, info: answer.remote_instance_transfer_engine_info };
}

function urlOf(seed: Seed): string {
  return seed.summary.sglang?.url ?? '';
}

describe('a seed for SGLang', () => {
  it('says where its tensors are and how many elements of which size', async () => {
    const tensors: SeedTensor[] = [
      { name: 'a', dtype: 'BF16', shape: [3, 5], data: new Uint8Array(30) },
      { name: 'b', dtype: 'F4', shape: [8], data: new Uint8Array(4) },
      { name: 'c', dtype: 'F32', shape: [0], data: new Uint8Array(0) },
    ];
    await using seed = await seedTensors(tensors, { ...base, rank: 5, sglang: { port: 0 } });
    const { summary } = seed;
    assert.deepEqual([summary.manifest, summary.workerEndpoint, summary.phases.checksum], ['none', '', 0]);
    assert.equal(summary.sourceId, mxSourceId(identity));
    const { info } = await ask(urlOf(seed), 5);
    assert.equal(info[0], summary.sessionId);
    assert.deepEqual(
      Object.entries(info[1]).map(([name, [address = 0, ...elements]]) => [name, address > 0, ...elements]),
      [
        ['a', true, 15, 2],
        ['b', true, 4, 1],
        ['c', false, 0, 4],
      ],
    );
    assert.equal((await ask(urlOf(seed), 0)).status, 404);
  });

  it('has its port before anything else, and answers when it can be read', async () => {
    await using first = await seedTensors(byteTensors([1]), { ...base, sglang: { port: 0 } });
    const port = Number(new URL(urlOf(first)).port);
    let prepared = 0;
    const taken = {
      ...base,
      sglang: { port },
      prepare: () => {
        prepared++;
      },
    };
    await assert.rejects(seedTensors(byteTensors([1]), taken), { code: 'ERR_IO', message: /the port is in use/ });
    assert.equal(prepared, 0);
    await first.close();
    await assert.rejects(ask(urlOf(first)));

    let early = 0;
    const prepare = async (): Promise<void> => {
      early = (await ask(`http://127.0.0.1:${port}`)).status;
    };
    await using second = await seedTensors(byteTensors([1]), { ...base, sglang: { port }, prepare });
    assert.equal(early, 404);
    assert.equal((await ask(urlOf(second))).status, 200);
  });

  it('may be at a metadata server too, and verified by targets from there', async () => {
    const server = await startServer();
    const tensors = byteTensors([1, 4096, 70_001]);
    await using seed = await seedTensors(tensors, { ...base, server: server.address, sglang: { port: 0 } });
    assert.equal(seed.summary.manifest, 'central');
    assert.equal((await ask(urlOf(seed))).info[0], seed.summary.sessionId);
    const result = await pull({ ...base, server: server.address, into: { kind: 'discard' } });
    assert.equal(result.verified?.tensors, tensors.length);
  });

  it('refuses options by which nobody would find it', async () => {
    const wrong: readonly (readonly [Partial<SeedOptions>, RegExp])[] = [
      [{}, /nobody would find it: give server/],
      [{ sglang: {} }, /sglang needs port, to answer at, or register/],
      [{ sglang: { port: 70_000 } }, /expected a port from 0 to 65535 for sglang\.port but received 70000/],
      [{ sglang: { register: 'head:30000' } }, /expected http:\/\/host:port for sglang\.register but received 'head:30000'/],
      [{ sglang: { register: 'https://head:30000' } }, /expected http:/],
    ];
    for (const [options, message] of wrong) {
      await assert.rejects(seedTensors(byteTensors([1]), { ...base, ...options }), { code: 'ERR_INVALID_ARGUMENT', message });
    }
  });
});
