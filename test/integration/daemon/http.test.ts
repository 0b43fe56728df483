/** The HTTP port against friends and strangers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { sendText } from '#src/http/answer.js';
import { readBody } from '#src/http/body.js';
import { HttpListener } from '#src/http/listener.js';
import type { HttpHandler } from '#src/http/routes.js';
import { eventually } from '../../support/eventually.js';
import { memoryLogger } from '../metadata/support.js';
import { ask, startDaemon } from './support.js';

interface Listening {
  readonly listener: HttpListener;
  readonly log: readonly string[];
}

async function listen(test: TestContext, routes: Record<string, HttpHandler>, maxConnections?: number): Promise<Listening> {
  const logger = memoryLogger();
  const options = { address: { host: '127.0.0.1', port: 0 }, routes: new Map(Object.entries(routes)), logger };
  const listener = await HttpListener.open({ ...options, ...(maxConnections !== undefined && { maxConnections }) });
  test.after(() => listener.close(0));
  return { listener, log: logger.lines };
}

const hello: HttpHandler = (_request, response, url) => {
  sendText(response, 200, `hello ${url.searchParams.get('name') ?? ''}\n`);
};

/** Writes this and reads all that comes. */
async function talk(port: number, text: string): Promise<string> {
  const socket = connectTcp(port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

describe('the HTTP port', () => {
  it('answers GET and HEAD on its routes, and nothing else', async (test) => {
    const { listener } = await listen(test, { '/hello': hello });
    const found = await ask(listener.address, '/hello?name=you');
    assert.deepEqual([found.status, found.body], [200, 'hello you\n']);
    const head = await ask(listener.address, '/hello', 'HEAD');
    assert.deepEqual([head.status, head.body, head.headers['content-length']], [200, '', '7']);
    for (const path of ['/', '/hello/', '/hello/..', '//hello', '/../../etc/passwd', '/hellO', '*']) {
      assert.equal((await ask(listener.address, path)).status, 404, path);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH']) {
      const refused = await ask(listener.address, '/hello', method);
      assert.deepEqual([refused.status, refused.headers['allow']], [405, 'GET, HEAD'], method);
    }
  });

  it('sends headers that keep browsers careful', async (test) => {
    const { listener } = await listen(test, { '/hello': hello });
    for (const path of ['/hello', '/nothing']) {
      const { headers } = await ask(listener.address, path);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['x-frame-options'], 'DENY');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.match(String(headers['content-security-policy']), /^default-src 'none'/);
    }
  });

  it('makes a 500 of what a handler throws, without telling strangers why', async (test) => {
    const boom = new Error('secret detail');
    const { listener, log } = await listen(test, {
      '/throws': () => {
        throw boom;
      },
      '/rejects': () => Promise.reject(boom),
    });
    for (const path of ['/throws', '/rejects']) {
      const { status, body } = await ask(listener.address, path);
      assert.equal(status, 500);
      assert.ok(!body.includes('secret'));
    }
    assert.equal(log.filter((line) => line.startsWith('error HTTP request failed')).length, 2);
  });

  it('ends what is no HTTP, and heads that are too large', async (test) => {
    const { listener } = await listen(test, { '/hello': hello });
    assert.match(await talk(listener.port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request/);
    assert.match(await talk(listener.port, '\u0016\u0003\u0001garbage\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request/);
    const large = `GET /hello HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`;
    assert.match(await talk(listener.port, large), /^HTTP\/1\.1 431 /);
    assert.equal((await ask(listener.address, '/hello')).status, 200);
  });

  it('does not read bodies', async (test) => {
    const { listener } = await listen(test, { '/hello': hello });
    const answer = await talk(listener.port, 'GET /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\nabc');
    assert.match(answer, /^HTTP\/1\.1 200 OK[^]*connection: close/i);
  });

  it('answers other methods where a route is for them, and reads what comes with them up to a limit', async (test) => {
    const { listener } = await listen(test, {
      '/hello': hello,
      'PUT /hello': async (request, response) => {
        const body = await readBody(request, 5);
        sendText(response, body === undefined ? 413 : 200, body?.toString() ?? 'too much');
      },
    });
    const request = (head: string, body: string): Promise<string> =>
      talk(listener.port, `PUT /hello HTTP/1.1\r\nhost: x\r\n${head}\r\n\r\n${body}`);
    assert.match(await request('content-length: 5', 'world'), /^HTTP\/1\.1 200 OK[^]*world$/);
    assert.match(await request('content-length: 6', 'worlds'), /^HTTP\/1\.1 413 /);
    assert.match(await request('transfer-encoding: chunked', '3\r\nwor\r\n3\r\nlds\r\n'), /^HTTP\/1\.1 413 /);
    assert.equal((await ask(listener.address, '/hello')).status, 200);
    const refused = await ask(listener.address, '/hello', 'DELETE');
    assert.deepEqual([refused.status, refused.headers['allow']], [405, 'GET, HEAD, PUT']);
  });

  it('lets in so many connections and no more', async (test) => {
    const { listener } = await listen(test, { '/hello': hello }, 2);
    const sockets: Socket[] = [];
    for (let index = 0; index < 2; index++) {
      const socket = connectTcp(listener.port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      sockets.push(socket);
    }
    await assert.rejects(ask(listener.address, '/hello'));
    for (const socket of sockets) socket.destroy();
    await eventually('a free place', () => ask(listener.address, '/hello').catch(() => undefined));
  });

  it('ends answers that never end when it closes', async (test) => {
    const { listener } = await listen(test, {
      '/forever': (_request, response) => {
        response.write('…');
      },
    });
    const answer = ask(listener.address, '/forever');
    answer.catch(() => undefined);
    const socket = connectTcp(listener.port, '127.0.0.1').on('error', () => undefined);
    await once(socket, 'connect');
    await listener.close(50);
    await assert.rejects(answer);
  });
});

describe('the routes of a server', () => {
  it('are the probes and the page', async (test) => {
    const daemon = await startDaemon(test);
    assert.deepEqual(await ask(daemon.httpAddress, '/livez').then(({ status, body }) => [status, body]), [200, 'ok\n']);
    assert.deepEqual(await ask(daemon.httpAddress, '/readyz').then(({ status, body }) => [status, body]), [200, 'ready\n']);
    const page = await ask(daemon.httpAddress, '/');
    assert.equal(page.status, 200);
    assert.match(String(page.headers['content-type']), /^text\/html/);
  });

  it('are the probes alone with the page off', async (test) => {
    const daemon = await startDaemon(test, { page: 'off' });
    assert.equal((await ask(daemon.httpAddress, '/readyz')).status, 200);
    assert.equal((await ask(daemon.httpAddress, '/')).status, 404);
  });

  it('are gone after the end, the metrics too', async (test) => {
    const daemon = await startDaemon(test);
    const { httpAddress, metricsAddress } = daemon;
    await daemon.stop();
    await daemon.stop();
    await assert.rejects(ask(httpAddress, '/livez'), { code: 'ECONNREFUSED' });
    await assert.rejects(ask(metricsAddress, '/metrics'), { code: 'ECONNREFUSED' });
  });
});
