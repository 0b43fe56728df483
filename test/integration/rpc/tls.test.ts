import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type ServerInterceptor, ServerInterceptingCall, status } from '@grpc/grpc-js';
import { ServerTls } from '#src/security/server-tls.js';
import { Authority } from '../../support/certificates.js';
import { memoryLogger, until } from '../metadata/support.js';
import { ask, bytesClient, folder, openEndpoint, serverFiles, tlsCredentials } from './support.js';

const hour = 3_600_000;
const ago = new Date(Date.now() - 2 * hour);
const past = new Date(Date.now() - hour);
const later = new Date(Date.now() + hour);
const muchLater = new Date(Date.now() + 2 * hour);

describe('a server with TLS', () => {
  it('answers a client that trusts its authority', async (test) => {
    const { authority, files } = await serverFiles(test);
    const { address } = await openEndpoint(test, { tls: files });
    const reply = await ask(bytesClient(test, address, tlsCredentials(authority.cert)), 'Echo', 'hello');
    assert.equal(reply.toString(), 'hello');
  });

  it('is not believed by a client that trusts another authority, or expects another name', async (test) => {
    const { authority, files } = await serverFiles(test);
    const { address } = await openEndpoint(test, { tls: files });
    const stranger = bytesClient(test, address, tlsCredentials(new Authority('Another').cert));
    await assert.rejects(ask(stranger, 'Echo', ''), { code: status.UNAVAILABLE });
    const misled = bytesClient(test, address, tlsCredentials(authority.cert), { 'grpc.ssl_target_name_override': 'elsewhere.example' });
    await assert.rejects(ask(misled, 'Echo', ''), { code: status.UNAVAILABLE });
    await ask(bytesClient(test, address, tlsCredentials(authority.cert)), 'Echo', '');
  });

  it('refuses TLS 1.1 and clients without HTTP/2', async (test) => {
    const { authority, files } = await serverFiles(test);
    const { endpoint, lines } = await openEndpoint(test, { tls: files });
    const base = { host: '127.0.0.1', port: endpoint.port, ca: authority.cert, servername: 'localhost' };
    const attempt = (options: object): Promise<string> =>
      new Promise((done) => {
        const socket = connectTls({ ...base, ...options });
        socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
        socket.on('data', (bytes: Buffer) => done(bytes.toString('latin1')));
        socket.on('close', () => done('closed'));
      });
    assert.match(await attempt({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }), /ERR_SSL|EPROTO/);
    assert.match(await attempt({ ALPNProtocols: ['http/1.1'] }), /NO_APPLICATION_PROTOCOL/);
    assert.match(await attempt({}), /did not offer HTTP\/2/);
    assert.ok(lines.some((line) => line.includes('ALPN')));
  });

  it('does not start with files that cannot be used, and says which and why', async (test) => {
    const authority = new Authority('Test Authority');
    const good = authority.issue({ commonName: 'server', names: ['localhost'] });
    const path = await folder(test);
    let count = 0;
    const file = async (text: string): Promise<string> => {
      const name = join(path, `file-${String(count++)}.pem`);
      await writeFile(name, text);
      return name;
    };
    const logger = memoryLogger();
    const cases: [string, { cert?: string; key?: string; ca?: string }, RegExp][] = [
      ['no PEM', { cert: 'hello' }, /certificate file .*file-\d+\.pem holds no PEM block "CERTIFICATE"/],
      ['a key for a certificate', { cert: good.key }, /holds no PEM block "CERTIFICATE"/],
      [
        'garbage in PEM',
        { cert: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' },
        /holds a certificate that cannot be read/,
      ],
      ['no key', { key: good.cert }, /private key file .* holds no PEM block "PRIVATE KEY"/],
      ['garbage for a key', { key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n' }, /private key in .* cannot be used/],
      ['another key', { key: authority.issue({ commonName: 'other' }).key }, /does not belong to the first certificate in/],
      ['expired', authority.issue({ commonName: 'old', from: ago, to: past }), /expired on \d{4}-\d\d-\d\dT/],
      ['too early', authority.issue({ commonName: 'new', from: later, to: muchLater }), /is not valid before \d{4}-/],
      ['no client CA', { ca: 'nothing' }, /client CA file .* holds no PEM block "CERTIFICATE"/],
    ];
    for (const [name, { cert, key, ca }, message] of cases) {
      const files = {
        certFile: await file(cert ?? good.cert),
        keyFile: await file(key ?? good.key),
        clientCaFile: ca === undefined ? undefined : await file(ca),
      };
      assert.throws(() => ServerTls.open(files, { logger }), { code: 'ERR_TLS', message }, name);
    }
    const missing = { certFile: join(path, 'none.crt'), keyFile: await file(good.key) };
    const message = /cannot read the certificate file .*none\.crt: there is no such file/;
    await assert.rejects(openEndpoint(test, { tls: missing }), { code: 'ERR_TLS', file: missing.certFile, message });
  });

  it('takes new certificates for new connections, keeps old connections, and survives broken files', async (test) => {
    const { authority, files } = await serverFiles(test);
    const logger = memoryLogger();
    const tls = ServerTls.open(files, { logger, pollMs: 20 });
    test.after(() => tls.close());
    const { endpoint, address } = await openEndpoint(test, { tls: files });
    const before = bytesClient(test, address, tlsCredentials(authority.cert));
    await ask(before, 'Echo', '1');

    const second = new Authority('Second Authority');
    const next = second.issue({ commonName: 'server 2', names: ['localhost', '127.0.0.1'] });
    await writeFile(files.certFile, 'half a file');
    await until(() => logger.lines.some((line) => line.startsWith('error TLS files cannot be used')));
    const errors = logger.lines.filter((line) => line.startsWith('error')).length;
    tls.reload();
    tls.reload();
    assert.equal(logger.lines.filter((line) => line.startsWith('error')).length, errors, 'the same problem is told once');
    await ask(bytesClient(test, address, tlsCredentials(authority.cert)), 'Echo', '2');

    await writeFile(`${files.keyFile}.new`, next.key);
    await writeFile(`${files.certFile}.new`, next.cert);
    await rename(`${files.keyFile}.new`, files.keyFile);
    await rename(`${files.certFile}.new`, files.certFile);
    await until(() => logger.lines.some((line) => line.includes('new TLS certificate') && line.includes('server 2')));
    // The endpoint looks by itself, in its own time.
    const issuer = (): Promise<string> =>
      new Promise((done, failed) => {
        const session = connectHttp2(`https://localhost:${String(endpoint.port)}`, { ca: [authority.cert, second.cert] });
        session.on('error', failed);
        session.on('connect', (_session, socket) => {
          done(String((socket as TLSSocket).getPeerCertificate().issuer.CN));
          session.destroy();
        });
      });
    await until(async () => (await issuer()) === 'Second Authority', 20_000);
    assert.equal((await ask(before, 'Echo', '3')).toString(), '3');
    await ask(bytesClient(test, address, tlsCredentials(second.cert)), 'Echo', '4');
  });
});

describe('a server with mutual TLS', () => {
  it('knows its clients by their certificates', async (test) => {
    const clients = new Authority('Clients');
    const { authority, files } = await serverFiles(test, { clientCa: clients.cert });
    const seen: unknown[] = [];
    const watch: ServerInterceptor = (_method, call) => {
      const { sslPeerCertificate } = call.getAuthContext();
      seen.push([sslPeerCertificate?.subject.CN, call.getPeer().replace(/\d+$/, ''), call.getConnectionInfo().remoteAddress]);
      return new ServerInterceptingCall(call);
    };
    const { address } = await openEndpoint(test, { tls: files, interceptors: [watch] });
    const client = bytesClient(test, address, tlsCredentials(authority.cert, clients.issue({ commonName: 'worker-1' })));
    await ask(client, 'Echo', '');
    assert.deepEqual(seen, [['worker-1', '127.0.0.1:', '127.0.0.1']]);
  });

  it('refuses the others, and tells them and the log why', async (test) => {
    const clients = new Authority('Clients');
    const { authority, files } = await serverFiles(test, { clientCa: clients.cert });
    const { endpoint, address, lines } = await openEndpoint(test, { tls: files });
    const cases = [
      { own: undefined, reason: 'a client certificate is required' },
      { own: new Authority('Others').issue({ commonName: 'x' }), reason: 'signed by an authority that is not trusted here' },
      { own: clients.issue({ commonName: 'old', from: ago, to: past }), reason: 'the client certificate has expired' },
      { own: clients.issue({ commonName: 'new', from: later, to: muchLater }), reason: 'the client certificate is not valid yet' },
    ];
    for (const { own, reason } of cases) {
      const client = bytesClient(test, address, tlsCredentials(authority.cert, own));
      const refused = ({ code }: { code: status }): boolean => code === status.PERMISSION_DENIED || code === status.UNAVAILABLE;
      await assert.rejects(ask(client, 'Echo', ''), refused, reason);
      const heard = await new Promise<string>((done) => {
        const options = { ...own, ca: authority.cert, servername: 'localhost', ALPNProtocols: ['h2'] };
        const socket = connectTls({ host: '127.0.0.1', port: endpoint.port, ...options });
        socket.on('error', () => undefined);
        socket.on('data', (bytes: Buffer) => done(bytes.toString('latin1')));
        socket.on('close', () => done('closed without a word'));
      });
      assert.ok(heard.includes(reason), `${reason}: heard ${JSON.stringify(heard)}`);
    }
    assert.ok(lines.some((line) => line.includes('refused in the TLS handshake') && line.includes('required')));
    await ask(bytesClient(test, address, tlsCredentials(authority.cert, clients.issue({ commonName: 'w' }))), 'Echo', '');
  });
});
