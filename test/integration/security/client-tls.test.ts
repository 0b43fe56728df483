import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, it, type TestContext } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { MetadataClient } from '#src/metadata/client.js';
import { WorkerClient } from '#src/metadata/worker/client.js';
import { parseAddress } from '#src/rpc/address.js';
import { Channel } from '#src/rpc/channel.js';
import { ClientTls } from '#src/security/client-tls.js';
import type { ClientTlsFiles } from '#src/security/tls-files.js';
import { eventually } from '../../support/eventually.js';
import { ask, bytesDefinition, openEndpoint } from '../rpc/support.js';
import { silentListener, unusedPort } from '../metadata/support.js';
import { connectBytes, type PairFiles, TestAuthority } from './support.js';

const dayMs = 24 * 3600 * 1000;
const past = { from: new Date(Date.now() - 2 * dayMs), to: new Date(Date.now() - dayMs) };

type Serve = (test: TestContext, pair: PairFiles | undefined, clientCaFile?: string) => Promise<string>;

/** A server of ours, and one of plain gRPC, which turns clients away with other signs. */
const servers: Record<string, Serve> = {
  weightcast: async (test, pair, clientCaFile) => {
    const { address } = await openEndpoint(test, { ...(pair && { tls: { ...pair, clientCaFile } }) });
    return address;
  },
  'plain gRPC': async (test, pair, clientCaFile) => {
    const server = new Server();
    server.addService(bytesDefinition, {
      Echo: (call: { request: Buffer }, answer: (e: null, v: Buffer) => void) => {
        answer(null, call.request);
      },
    });
    const own = pair && [{ cert_chain: readFileSync(pair.certFile), private_key: readFileSync(pair.keyFile) }];
    const ca = clientCaFile === undefined ? null : readFileSync(clientCaFile);
    const credentials = own ? ServerCredentials.createSsl(ca, own, ca !== null) : ServerCredentials.createInsecure();
    const port = await new Promise<number>((done, failed) => {
      server.bindAsync('127.0.0.1:0', credentials, (error, bound) => {
        if (error === null) done(bound);
        else failed(error);
      });
    });
    test.after(() => {
      server.forceShutdown();
    });
    return `127.0.0.1:${String(port)}`;
  },
};

async function refuses(test: TestContext, address: string, tls: ClientTlsFiles | undefined, reason: RegExp): Promise<void> {
  const { echo } = connectBytes(test, address, { tls });
  const expected = { name: 'WeightcastError', code: 'ERR_TLS', peer: address.replace('https://', ''), message: reason };
  // The second call fails for the connection's last failure, before another attempt.
  await assert.rejects(echo('1'), expected);
  await assert.rejects(echo('2'), expected);
}

for (const [kind, serve] of Object.entries(servers)) {
  describe(`TLS to a server (${kind})`, () => {
    it('is spoken when an authority is given, to an address and to a name', async (test) => {
      const ca = await TestAuthority.make(test);
      const address = await serve(test, await ca.issue('server'));
      const tls = { caFile: ca.caFile };
      const warnings: Error[] = [];
      const note = (warning: Error) => warnings.push(warning);
      process.on('warning', note);
      test.after(() => process.off('warning', note));
      assert.equal(await connectBytes(test, address, { tls }).echo('x'), 'x');
      assert.equal(await connectBytes(test, address.replace('127.0.0.1', 'localhost'), { tls }).echo('x'), 'x');
      // An address as the server's name (SNI) would have Node warn, on the standard error of every program.
      await new Promise(setImmediate);
      assert.deepEqual(warnings, []);
    });

    it('fails with the reason: another authority signed', async (test) => {
      const ca = await TestAuthority.make(test);
      const other = await TestAuthority.make(test, 'Other Authority');
      const address = await serve(test, await ca.issue('server'));
      const reason = /^cannot echo: TLS with \S+ fails: its certificate is not signed by one of the authorities in \S+ca\.pem/;
      await refuses(test, address, { caFile: other.caFile }, reason);
    });

    it('fails with the reason: no authority is given', async (test) => {
      const ca = await TestAuthority.make(test);
      const address = await serve(test, await ca.issue('server'));
      await refuses(test, `https://${address}`, undefined, /not signed by one of the authorities that Node knows; give --tls-ca/);
    });

    it('fails with the reason: another name, which can be given', async (test) => {
      const ca = await TestAuthority.make(test);
      const address = await serve(test, await ca.issue('server', { names: ['elsewhere.test'] }));
      const reason =
        /its certificate is for DNS:elsewhere\.test, not for 127\.0\.0\.1; call it by one of these names, or give --tls-server-name/;
      await refuses(test, address, { caFile: ca.caFile }, reason);
      assert.equal(await connectBytes(test, address, { tls: { caFile: ca.caFile, serverName: 'elsewhere.test' } }).echo('x'), 'x');
    });

    it('fails with the reason: the server speaks clear text', async (test) => {
      const ca = await TestAuthority.make(test);
      await refuses(test, await serve(test, undefined), { caFile: ca.caFile }, /it does not speak TLS on this port; for clear text/);
    });

    it('fails with the reason: called in clear text', async (test) => {
      const ca = await TestAuthority.make(test);
      const address = await serve(test, await ca.issue('server'));
      await refuses(test, address, undefined, new RegExp(`${address} speaks TLS, and was called in clear text; write https://${address}`));
    });

    it('shows a certificate of its own, and fails with the reason without one or with a wrong one', async (test) => {
      const ca = await TestAuthority.make(test);
      const other = await TestAuthority.make(test, 'Other Authority');
      const address = await serve(test, await ca.issue('server'), ca.caFile);
      const tls = { caFile: ca.caFile };
      assert.equal(await connectBytes(test, address, { tls: { ...tls, ...(await ca.issue('client')) } }).echo('x'), 'x');
      await refuses(test, address, tls, /a client certificate(: none is given| is required)/);
      await refuses(
        test,
        address,
        { ...tls, ...(await other.issue('client')) },
        /not trusted here|closed the connection after the handshake/,
      );
      await refuses(test, address, { ...tls, ...(await ca.issue('old', past)) }, /expired|closed the connection after the handshake/);
    });
  });
}

describe('TLS to a server', () => {
  it('fails with the reason: the certificate has expired', async (test) => {
    const ca = await TestAuthority.make(test);
    // A server of ours would not start with it.
    const address = await servers['plain gRPC']!(test, await ca.issue('server', past));
    await refuses(test, address, { caFile: ca.caFile }, /its certificate, or one that signed it, has expired \(its own ends on /);
  });

  it('fails with the reason: no HTTP/2', async (test) => {
    const ca = await TestAuthority.make(test);
    const { certFile, keyFile } = await ca.issue('server');
    const server = createTlsServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, (socket) => {
      socket.on('error', () => undefined);
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    test.after(() => server.close());
    const { port } = server.address() as { port: number };
    await refuses(test, `127.0.0.1:${String(port)}`, { caFile: ca.caFile }, /it does not speak HTTP\/2 over TLS/);
  });

  it('is not blamed where nobody listens, nobody answers, or the connection breaks', async (test) => {
    const ca = await TestAuthority.make(test);
    const tls = { caFile: ca.caFile };
    const nobody = `127.0.0.1:${String(await unusedPort())}`;
    await assert.rejects(connectBytes(test, nobody, { tls }).echo('x'), { code: 'ERR_SERVER_UNREACHABLE', message: /ECONNREFUSED/ });
    const silent = `127.0.0.1:${String(await silentListener(test))}`;
    await assert.rejects(connectBytes(test, silent, { tls }, { timeoutMs: 300 }).echo('x'), { code: 'ERR_SERVER_UNREACHABLE' });
    const rude = createServer((socket) => socket.destroy());
    await new Promise<void>((done) => rude.listen(0, '127.0.0.1', done));
    test.after(() => rude.close());
    const { port } = rude.address() as { port: number };
    for (const security of [{ tls }, {}]) {
      await assert.rejects(connectBytes(test, `127.0.0.1:${String(port)}`, security).echo('x'), { code: 'ERR_SERVER_UNREACHABLE' });
    }
  });

  it('lets calls end on the connection that they began on when the files change', async (test) => {
    const ca = await TestAuthority.make(test);
    const { address } = await openEndpoint(test, { tls: await ca.issue('server') });
    const clock = { now: 0 };
    const tls = new ClientTls({ caFile: ca.caFile, ...(await ca.issue('client')) }, '127.0.0.1', () => clock.now);
    const channel = new Channel(parseAddress(address, 1), tls);
    test.after(() => {
      channel.close();
    });
    const first = channel.lease();
    await ca.issue('client');
    clock.now = 5000;
    const second = channel.lease();
    assert.notEqual(second.client, first.client);
    assert.equal((await ask(first.client, 'Echo', 'a')).toString(), 'a');
    assert.equal((await ask(second.client, 'Echo', 'b')).toString(), 'b');
    first.release();
    await assert.rejects(ask(first.client, 'Echo', 'c'), /shut down/);
    second.release();
    assert.equal(channel.lease().client, second.client);
    assert.equal((await ask(second.client, 'Echo', 'd')).toString(), 'd');
  });

  it('takes the new certificates of a client without a restart', async (test) => {
    const ca = await TestAuthority.make(test);
    const address = await servers['plain gRPC']!(test, await ca.issue('server'), ca.caFile);
    const client = await ca.issue('client', past);
    const { echo } = connectBytes(test, address, { tls: { caFile: ca.caFile, ...client } });
    await assert.rejects(echo('x'), { code: 'ERR_TLS' });
    await ca.issue('client');
    assert.equal(await eventually('answer with the new certificate', () => echo('x').catch(() => undefined)), 'x');
  });

  it('is what https:// means to our clients; the metadata server is called so with files too', async (test) => {
    const ca = await TestAuthority.make(test);
    const { address } = await openEndpoint(test, { tls: await ca.issue('server') });
    const security = { tls: { caFile: ca.caFile } };
    // The endpoint has no such services: to be told so takes a connection that works.
    const unimplemented = { code: 'ERR_SERVER', message: /UNIMPLEMENTED/ };
    for (const server of [address, `https://${address}`, `http://${address}`]) {
      const client = new MetadataClient(server, { security });
      await assert.rejects(client.listSources({}), unimplemented);
      assert.equal(client.server, address);
      client.close();
    }
    const worker = new WorkerClient(`https://${address}`, {
      security: { ...security, tls: { ...security.tls, serverName: 'server.test' } },
    });
    await assert.rejects(worker.tensorManifest('s', 'w'), unimplemented);
    worker.close();
    const plain = new WorkerClient(address, { security });
    await assert.rejects(plain.tensorManifest('s', 'w'), { code: 'ERR_TLS', message: /was called in clear text/ });
    plain.close();
  });
});
