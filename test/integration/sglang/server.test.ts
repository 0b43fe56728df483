/** What our HTTP port answers SGLang's processes, and what it does not let strangers do. */
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { describe, it, type TestContext } from 'node:test';
import { silentLogger } from '#src/observe/logger.js';
import type { Registrants } from '#src/sglang/rank-desk.js';
import { SglangServer } from '#src/sglang/server.js';

const question = '/get_remote_instance_transfer_engine_info';

async function listen(
  test: TestContext,
  registrants: Registrants = 'host',
  host = '127.0.0.1',
): Promise<{ server: SglangServer; url: string }> {
  const server = await SglangServer.listen({ address: { host, port: 0 }, registrants, logger: silentLogger });
  test.after(() => server.close());
  return { server, url: `http://127.0.0.1:${server.port}` };
}

async function get(url: string): Promise<readonly [status: number, text: string]> {
  const response = await fetch(url);
  return [response.status, await response.text()];
}

async function put(url: string, body: string, method = 'PUT'): Promise<readonly [status: number, text: string]> {
  const response = await fetch(url, { method, body: method === 'PUT' ? body : null });
  return [response.status, await response.text()];
}

const theirs = '{"tp_rank":1,"transfer_engine_info":{"session_id":"h:2","weights_info_dict":{"w":[18446744073709551615,2,4]}}}';
const yes = (): Promise<boolean> => Promise.resolve(true);

describe('the answer to SGLang', () => {
  it('is the same on the old path, the new one and that of the bootstrap, addresses exact', async (test) => {
    const { server, url } = await listen(test);
    server.offer(0, { sessionId: '127.0.0.1:15000', tensors: [{ name: 'w', address: 2n ** 63n + 1n, numel: 3n, elementSize: 2 }] }, yes);
    const expected = '{"rank":0,"remote_instance_transfer_engine_info":["127.0.0.1:15000",{"w":[9223372036854775809,3,2]}]}';
    for (const path of [question, '/remote_instance_transfer_engine_info', '/get_transfer_engine_info']) {
      assert.deepEqual(await get(`${url}${path}?rank=0`), [200, expected], path);
    }
    assert.deepEqual(await get(`${url}/health`), [200, 'OK']);
  });

  it('is 400 without a rank that is one, 404 for a rank that nobody has, 405 for another method', async (test) => {
    const { url } = await listen(test);
    for (const query of ['', '?rank=', '?rank=-1', '?rank=1.0', '?rank=x', '?rank=99999999999']) {
      const [status, text] = await get(`${url}${question}${query}`);
      assert.equal(status, 400, query);
      assert.deepEqual(JSON.parse(text), {
        error: { message: 'Missing or invalid rank parameter' },
        detail: 'Missing or invalid rank parameter',
      });
    }
    const [status, text] = await get(`${url}${question}?rank=7`);
    assert.equal(status, 404);
    assert.match(text, /No transfer engine info for rank 7/);
    assert.equal((await put(`${url}${question}?rank=0`, '{}'))[0], 405);
    const wrongMethod = await fetch(`${url}/register_transfer_engine_info`);
    assert.deepEqual([wrongMethod.status, wrongMethod.headers.get('allow')], [405, 'PUT, DELETE']);
  });

  it('is 503 while the data plane of a rank of this process does not work', async (test) => {
    const { server, url } = await listen(test);
    let healthy = false;
    server.offer(2, { sessionId: 's:1', tensors: [] }, () => Promise.resolve(healthy));
    assert.equal((await get(`${url}${question}?rank=2`))[0], 503);
    healthy = true;
    assert.equal((await get(`${url}${question}?rank=2`))[0], 200);
  });

  it('ends with the server', async (test) => {
    const { server, url } = await listen(test);
    server.offer(0, { sessionId: 's:1', tensors: [] }, yes);
    await server.close();
    await server.close();
    await assert.rejects(get(`${url}${question}?rank=0`));
  });
});

describe('registrations', () => {
  it('of other ranks are taken, replaced and given back', async (test) => {
    const { server, url } = await listen(test);
    server.offer(0, { sessionId: 's:1', tensors: [] }, yes);
    const path = `${url}/register_transfer_engine_info`;
    assert.deepEqual(await put(path, theirs), [200, 'OK']);
    const answer = '{"rank":1,"remote_instance_transfer_engine_info":["h:2",{"w":[18446744073709551615,2,4]}]}';
    assert.deepEqual(await get(`${url}${question}?rank=1`), [200, answer]);

    assert.equal((await put(path, theirs.replace('"tp_rank":1', '"rank":0')))[0], 409, 'our own rank');
    assert.equal((await put(`${path}?rank=0&session_id=s:1`, '', 'DELETE'))[0], 404, 'our own rank');
    assert.equal((await put(`${path}?rank=1&session_id=h:1`, '', 'DELETE'))[0], 404, 'another session');
    assert.deepEqual(await put(`${path}?rank=1&session_id=h:2`, '', 'DELETE'), [200, 'OK']);
    assert.equal((await get(`${url}${question}?rank=1`))[0], 404);
  });

  it('that make no sense or are too large are refused', async (test) => {
    const { url } = await listen(test);
    const path = `${url}/register_transfer_engine_info`;
    const [status, text] = await put(path, '{"tp_rank":1}');
    assert.equal(status, 400);
    assert.match(text, /transfer_engine_info is missing/);
    assert.equal((await put(path, 'x'.repeat(64 * 2 ** 20 + 1)).catch(() => [413]))[0], 413);
    assert.deepEqual(await put(path, theirs), [200, 'OK'], 'the next one');
  });

  it('come from this host, unless it is said otherwise', async (test) => {
    const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
    const own = addresses.find((entry) => entry.family === 'IPv4' && !entry.internal)?.address;
    const { server } = await listen(test, 'host', '0.0.0.0');
    for (const host of ['127.0.0.1', '127.9.9.9', ...(own === undefined ? [] : [own])]) {
      assert.equal((await put(`http://${host}:${server.port}/register_transfer_engine_info`, theirs))[0], 200, host);
    }
    const closed = await listen(test, 'none');
    const refused = await put(`${closed.url}/register_transfer_engine_info`, theirs);
    assert.deepEqual([refused[0], refused[1].includes('No registrations')], [403, true]);
    assert.equal((await put(`${closed.url}/register_transfer_engine_info?rank=1&session_id=h:2`, '', 'DELETE'))[0], 403);
  });
});
