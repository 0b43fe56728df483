/** The question to an SGLang server, over HTTP and HTTPS, and what comes back of servers that do not answer it. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { silentLogger } from '#src/observe/logger.js';
import { SglangClient, type SglangClientOptions } from '#src/sglang/client.js';
import { SglangServer } from '#src/sglang/server.js';
import { Authority } from '../../support/certificates.js';
import { temporaryFolder } from '../../support/cluster.js';
import { unusedPort } from '../metadata/support.js';

const newer = '/remote_instance_transfer_engine_info';
const older = '/get_remote_instance_transfer_engine_info';
const good = '{"rank":2,"remote_instance_transfer_engine_info":["10.0.0.5:15428",{"w":[9223372036854775809,3,2]}]}';
const parsed = { sessionId: '10.0.0.5:15428', tensors: [{ name: 'w', address: 2n ** 63n + 1n, numel: 3n, elementSize: 2 }] };

async function opened(test: TestContext, server: Server, host = '127.0.0.1'): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function clientOf(url: string, options: Partial<SglangClientOptions> = {}): SglangClient {
  return new SglangClient(url, { security: undefined, logger: silentLogger, ...options });
}

/** A client of a server that answers as `listener` does. */
async function against(test: TestContext, listener: RequestListener, options: Partial<SglangClientOptions> = {}): Promise<SglangClient> {
  return clientOf(`http://127.0.0.1:${await opened(test, createServer(listener))}`, options);
}

describe('the question to an SGLang server', () => {
  it('goes to the path that the server knows: the newer, the older, or that of the bootstrap', async (test) => {
    for (const known of [newer, older, '/get_transfer_engine_info']) {
      const asked: string[] = [];
      const client = await against(test, ({ url = '' }, response) => {
        asked.push(url);
        if (url.startsWith(`${known}?`)) response.end(good);
        else response.writeHead(404).end('{"detail":"Not Found"}');
      });
      assert.deepEqual(await client.transferInfo(2, undefined), parsed);
      assert.equal(asked.at(-1), `${known}?rank=2`);
    }
  });

  it('is answered by a Weightcast seed as by SGLang', async (test) => {
    const server = await SglangServer.listen({ address: { host: '127.0.0.1', port: 0 }, registrants: 'host', logger: silentLogger });
    test.after(() => server.close());
    let healthy = true;
    server.offer(2, parsed, () => Promise.resolve(healthy));
    const client = clientOf(`http://localhost:${server.port}/`);
    assert.deepEqual(await client.transferInfo(2, undefined), parsed);
    await assert.rejects(client.transferInfo(1, undefined), {
      code: 'ERR_RANK_NOT_FOUND',
      message: /does not know rank 1 \(404 "No transfer engine info for rank 1"\)/,
    });
    healthy = false;
    await assert.rejects(client.transferInfo(2, undefined), {
      code: 'ERR_SOURCE_GONE',
      message: /503 "The data plane of rank 2 does not work"/,
    });
  });

  it('goes below the path of a URL, and to IPv6', async (test) => {
    const server = createServer(({ url }, response) => {
      if (url === `/replica/a${newer}?rank=2`) response.end(good);
      else response.writeHead(500).end();
    });
    const port = await opened(test, server, '::1');
    assert.deepEqual(await clientOf(`http://[::1]:${port}/replica/a`).transferInfo(2, undefined), parsed);
  });

  const answers: readonly (readonly [status: number, body: string, code: string, says: RegExp])[] = [
    [
      400,
      '{"error":{"message":"Failed to get transfer engine info for rank 2"}}',
      'ERR_RANK_NOT_FOUND',
      /does not know rank 2 \(400 "Failed to get .*still loads, or is no seed; start it with --remote/,
    ],
    [404, '{"detail":"No transfer engine info for rank 2"}', 'ERR_RANK_NOT_FOUND', /does not know rank 2/],
    [404, 'nothing here', 'ERR_NO_SOURCE', /answers neither \/remote_instance_transfer_engine_info nor \/get_remote_/],
    [200, '{"rank":2,"remote_instance_transfer_engine_info":null}', 'ERR_RANK_NOT_FOUND', /has no weights of rank 2 to offer yet/],
    [200, 'OK', 'ERR_PROTOCOL', /answers what is no JSON/],
    [401, '{"error":"Unauthorized"}', 'ERR_UNAUTHENTICATED', /wants its API key \(401 "Unauthorized"\): give it as tokenFile/],
    [403, '', 'ERR_PERMISSION_DENIED', /does not let us ask \(403\)/],
    [500, '<html>', 'ERR_SERVER', /answers 500$/],
    [204, '', 'ERR_SERVER', /answers 204$/],
  ];
  for (const [status, body, code, says] of answers) {
    it(`ends in ${code} for ${String(status)} ${body.slice(0, 60)}`, async (test) => {
      const client = await against(test, (_request, response) => void response.writeHead(status).end(body));
      await assert.rejects(client.transferInfo(2, undefined), { code, message: says, peer: client.url });
    });
  }

  it('does not follow to elsewhere', async (test) => {
    let asked = 0;
    const client = await against(test, (_request, response) => {
      asked += 1;
      response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end();
    });
    await assert.rejects(client.transferInfo(2, undefined), {
      code: 'ERR_SERVER',
      message: /redirects to "http:\/\/169\.254\.169\.254\/latest"/,
    });
    assert.equal(asked, 1);
  });

  it('takes no more than 256 MiB, said or not', async (test) => {
    const said = await against(test, (_request, response) => response.writeHead(200, { 'content-length': String(2 ** 28 + 1) }).write('{'));
    await assert.rejects(said.transferInfo(2, undefined), { code: 'ERR_PROTOCOL', message: /more than 268435456 bytes/ });
    const piece = Buffer.alloc(2 ** 24, ' ');
    const endless = await against(test, (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(piece));
      };
      response.on('drain', more);
      more();
    });
    await assert.rejects(endless.transferInfo(2, undefined), { code: 'ERR_PROTOCOL', message: /more than 268435456 bytes/ });
  });

  it('ends when the server is silent, slow or gone, each with its reason', async (test) => {
    const silent = await against(test, () => undefined, { silenceMs: 50 });
    await assert.rejects(silent.transferInfo(2, undefined), { code: 'ERR_SERVER_UNREACHABLE', message: /silent for 50 ms/ });
    const drips = await against(
      test,
      (_request, response) => {
        const timer = setInterval(() => response.write(' '), 10);
        response.on('close', () => clearInterval(timer));
      },
      { answerMs: 200 },
    );
    await assert.rejects(drips.transferInfo(2, undefined), { code: 'ERR_SERVER_UNREACHABLE', message: /no whole answer in 200 ms/ });
    const breaks = await against(test, ({ socket }, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{"rank"');
      setImmediate(() => socket.destroy());
    });
    await assert.rejects(breaks.transferInfo(2, undefined), { code: 'ERR_SERVER_UNREACHABLE' });
    const nobody = clientOf(`http://127.0.0.1:${await unusedPort()}`);
    await assert.rejects(nobody.transferInfo(2, undefined), {
      code: 'ERR_SERVER_UNREACHABLE',
      message: /cannot reach the SGLang server at .*ECONNREFUSED/,
    });
  });

  it('is aborted at once', async (test) => {
    const abort = new AbortController();
    const client = await against(test, () => abort.abort());
    await assert.rejects(client.transferInfo(2, abort.signal), { code: 'ERR_ABORTED' });
    await assert.rejects(client.transferInfo(2, abort.signal), { code: 'ERR_ABORTED' });
  });

  it('brings the API key, and speaks TLS to a server whose certificate is trusted', async (test) => {
    const folder = await temporaryFolder();
    const authority = new Authority('seeds');
    const [caFile, tokenFile] = [join(folder, 'ca.pem'), join(folder, 'token')];
    await writeFile(caFile, authority.cert);
    await writeFile(tokenFile, 'key-1\n');
    const server = createSecureServer(authority.issue({ commonName: 'seed', names: ['127.0.0.1'] }), ({ headers }, response) => {
      if (headers.authorization === 'Bearer key-1') response.end(good);
      else response.writeHead(401).end();
    });
    const url = `https://127.0.0.1:${await opened(test, server)}`;
    assert.deepEqual(await clientOf(url, { security: { tls: { caFile }, tokenFile } }).transferInfo(2, undefined), parsed);
    await assert.rejects(clientOf(url, { security: { tls: { caFile } } }).transferInfo(2, undefined), { code: 'ERR_UNAUTHENTICATED' });
    await assert.rejects(clientOf(url).transferInfo(2, undefined), { code: 'ERR_TLS', message: /cannot reach the SGLang server/ });
    const otherName = clientOf(url, { security: { tls: { caFile, serverName: 'other' } } });
    await assert.rejects(otherName.transferInfo(2, undefined), { code: 'ERR_TLS' });
  });

  for (const url of ['127.0.0.1:30000', 'ftp://h', 'http://', 'http://user:secret@h:1', 'http://h:1/?rank=0', '']) {
    it(`is not put to ${JSON.stringify(url)}`, () => {
      assert.throws(
        () => clientOf(url),
        (error: Error & { code?: string }) => error.code === 'ERR_INVALID_ARGUMENT' && !error.message.includes('secret'),
      );
    });
  }
});
