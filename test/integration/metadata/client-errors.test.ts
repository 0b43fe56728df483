import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { MetadataServer } from '#src/metadata/server/server.js';
import { WorkerClient } from '#src/metadata/worker/client.js';
import { connect, measured, silentListener, startServer, unusedPort } from './support.js';

describe('a metadata client', () => {
  it('says within a second that nobody listens, each time', async (test) => {
    const address = `127.0.0.1:${String(await unusedPort())}`;
    const client = connect(test, address);
    for (let attempt = 0; attempt < 3; attempt++) {
      const { ms } = await measured(() =>
        assert.rejects(client.listSources({}), {
          code: 'ERR_SERVER_UNREACHABLE',
          peer: address,
          grpcStatus: status.UNAVAILABLE,
          message: new RegExp(`^cannot list sources: gRPC UNAVAILABLE at ${address}: .*ECONNREFUSED`),
        }),
      );
      assert.ok(ms < 1000, `${ms.toFixed(0)} ms`);
    }
  });

  it('says that a host name is not known', async (test) => {
    const client = connect(test, 'no-such-host.invalid:8001', 5000);
    await assert.rejects(client.listSources({}), { code: 'ERR_SERVER_UNREACHABLE', peer: 'no-such-host.invalid:8001' });
  });

  it('gives up after its deadline on a server that says nothing', async (test) => {
    const client = connect(test, `127.0.0.1:${String(await silentListener(test))}`, 200);
    const { ms } = await measured(() =>
      assert.rejects(client.getMetadata('s', 'w'), { code: 'ERR_SERVER_UNREACHABLE', grpcStatus: status.DEADLINE_EXCEEDED }),
    );
    assert.ok(ms >= 190 && ms < 2000, `${ms.toFixed(0)} ms`);
  });

  it('is aborted by its signal, before and during a call', async (test) => {
    const client = connect(test, `127.0.0.1:${String(await silentListener(test))}`);
    await assert.rejects(client.listSources({}, AbortSignal.abort()), { code: 'ERR_ABORTED' });
    const { ms } = await measured(() => assert.rejects(client.listSources({}, AbortSignal.timeout(100)), { code: 'ERR_ABORTED' }));
    assert.ok(ms < 1500, `${ms.toFixed(0)} ms`);
  });

  it('finds a server that comes back on the same port', async (test) => {
    const first = await startServer(test);
    const client = connect(test, first.address);
    await client.listSources({});
    await first.close(0);
    await assert.rejects(client.listSources({}), { code: 'ERR_SERVER_UNREACHABLE' });
    await startServer(test, { listen: first.address });
    const { ms } = await measured(async () => {
      for (;;) {
        try {
          return await client.listSources({});
        } catch {
          await new Promise((done) => setTimeout(done, 50));
        }
      }
    });
    assert.ok(ms < 5000, `${ms.toFixed(0)} ms`);
  });

  it('does not take the proxy that the environment names', async (test) => {
    const server = await startServer(test);
    const before = process.env['http_proxy'];
    process.env['http_proxy'] = `http://127.0.0.1:${String(await unusedPort())}`;
    test.after(() => {
      if (before === undefined) delete process.env['http_proxy'];
      else process.env['http_proxy'] = before;
    });
    assert.deepEqual(await connect(test, server.address).listSources({}), []);
  });

  it('that is closed during a call says so', async (test) => {
    const client = connect(test, `127.0.0.1:${String(await silentListener(test))}`, 2000);
    const pending = client.listSources({});
    await new Promise((done) => setTimeout(done, 50));
    client.close();
    await assert.rejects(pending, { code: 'ERR_CLOSED' });
  });

  it('is over after close', async (test) => {
    const server = await startServer(test);
    const client = connect(test, server.address);
    await client.listSources({});
    client.close();
    client.close();
    await assert.rejects(client.listSources({}), { code: 'ERR_CLOSED', peer: server.address });
  });
});

describe('a worker client', () => {
  it('calls a worker that cannot be reached gone', async (test) => {
    const endpoint = `127.0.0.1:${String(await unusedPort())}`;
    const client = new WorkerClient(endpoint);
    test.after(() => {
      client.close();
    });
    const gone = { code: 'ERR_SOURCE_GONE', peer: endpoint, message: /gRPC UNAVAILABLE/ };
    await assert.rejects(client.tensorManifest('s', 'w'), gone);
    await assert.rejects(client.modelManifest('s', 'w'), gone);
  });

  it('does not wait for ever for a stream, and can be aborted', async (test) => {
    const client = new WorkerClient(`127.0.0.1:${String(await silentListener(test))}`, { timeoutMs: 200 });
    test.after(() => {
      client.close();
    });
    await assert.rejects(client.modelManifest('s', 'w'), { code: 'ERR_STALLED', message: /nothing came from .* for 200 ms/ });
    await assert.rejects(client.modelManifest('s', 'w', AbortSignal.timeout(50)), { code: 'ERR_ABORTED' });
  });
});

describe('a metadata server that cannot listen', () => {
  it('names the address of which the port is in use', async (test) => {
    const holder = createServer();
    await new Promise<void>((done) => holder.listen(0, '127.0.0.1', done));
    test.after(() => holder.close());
    const { port } = holder.address() as { port: number };
    const listen = `127.0.0.1:${String(port)}`;
    await assert.rejects(MetadataServer.listen({ listen }), {
      code: 'ERR_IO',
      syscall: 'listen',
      message: `cannot listen on ${listen}: the port is in use; stop the process that holds it or choose another port (listen EADDRINUSE)`,
    });
  });

  const bad: [string, string, RegExp][] = [
    ['192.0.2.1:8001', 'ERR_IO', /192\.0\.2\.1:8001: no interface of this machine/],
    ['no-such-host.invalid:8001', 'ERR_INVALID_ARGUMENT', /no-such-host\.invalid:8001: the host name is not known/],
    ['not an address', 'ERR_INVALID_ARGUMENT', /'not an address'/],
    ['127.0.0.1:99999', 'ERR_INVALID_ARGUMENT', /127\.0\.0\.1:99999/],
  ];
  for (const [listen, code, message] of bad) {
    it(`says so: ${listen}`, async () => {
      await assert.rejects(MetadataServer.listen({ listen }), { code, message });
    });
  }

  it('refuses times that are none', async () => {
    for (const options of [{ reaperIntervalMs: 0 }, { heartbeatTimeoutMs: -1 }, { gcTimeoutMs: Number.NaN }]) {
      await assert.rejects(MetadataServer.listen({ listen: '127.0.0.1:0', ...options }), {
        code: 'ERR_INVALID_ARGUMENT',
        message: /Expected a positive number/,
      });
    }
  });
});
