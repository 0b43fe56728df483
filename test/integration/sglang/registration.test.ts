/** A rank that another process answers for: registered, looked after, taken back. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { silentLogger } from '#src/observe/logger.js';
import { Registration } from '#src/sglang/registration.js';
import { SglangServer } from '#src/sglang/server.js';
import { eventually } from '../../support/eventually.js';

async function listen(test: TestContext, port = 0): Promise<SglangServer> {
  const server = await SglangServer.listen({ address: { host: '127.0.0.1', port }, registrants: 'host', logger: silentLogger });
  test.after(() => server.close());
  return server;
}

async function onLoopback(test: TestContext, server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  test.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

function start(port: number, sessionId: string, signal?: AbortSignal): Promise<Registration> {
  const info = { sessionId, tensors: [{ name: 'w', address: 2n ** 64n - 1n, numel: 1n, elementSize: 8 }] };
  return Registration.start({ url: `http://127.0.0.1:${port}`, rank: 3, info, intervalMs: 50, logger: silentLogger, signal });
}

async function sessionAt(port: number): Promise<string | undefined> {
  const response = await fetch(`http://127.0.0.1:${port}/get_transfer_engine_info?rank=3`);
  if (response.status === 404) return undefined;
  const text = await response.text();
  assert.match(text, /\[18446744073709551615,1,8\]/);
  return /"([^"]*:\d+)"/.exec(text)?.[1];
}

describe('a registration', () => {
  it('is there until it is taken back', async (test) => {
    const { port } = await listen(test);
    const registration = await start(port, 'a:1');
    assert.equal(await sessionAt(port), 'a:1');
    await registration.stop();
    assert.equal(await sessionAt(port), undefined);
  });

  it('waits for a server that starts later', async (test) => {
    const first = await listen(test);
    const { port } = first;
    await first.close();
    const starting = start(port, 'a:1');
    await listen(test, port);
    const registration = await starting;
    assert.equal(await sessionAt(port), 'a:1');
    await registration.stop();
  });

  it('is made again at a server that has forgotten it', async (test) => {
    const first = await listen(test);
    const { port } = first;
    const registration = await start(port, 'a:1');
    await first.close();
    await listen(test, port);
    assert.equal(await eventually('registration', () => sessionAt(port)), 'a:1');
    await registration.stop();
    assert.equal(await sessionAt(port), undefined);
  });

  it('leaves the rank to whoever has it now', async (test) => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.method ?? '');
      response.end('{"rank":3,"remote_instance_transfer_engine_info":["another:1",{}]}');
    });
    const port = await onLoopback(test, server);
    const registration = await start(port, 'a:1');
    await eventually('looks', () => (asked.length > 4 ? asked : undefined));
    await registration.stop();
    assert.deepEqual([asked[0], new Set(asked.slice(1, -1)), asked.at(-1)], ['PUT', new Set(['GET']), 'DELETE']);
  });

  it('that is refused, or aborted, says so', async (test) => {
    const server = createServer((_request, response) => {
      response.statusCode = 400;
      response.end('{"detail":"no such model"}');
    });
    const port = await onLoopback(test, server);
    await assert.rejects(start(port, 'a:1'), { code: 'ERR_PUBLISH_REFUSED', message: /does not register rank 3: 400 .*no such model/ });

    const gone = await listen(test);
    await gone.close();
    await assert.rejects(start(gone.port, 'a:1', AbortSignal.timeout(400)), { code: 'ERR_ABORTED' });
  });
});
