import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Logger } from '#src/observe/logger.js';
import { dataPlaneHealth } from '#src/seed/health.js';
import { fakeSysfs } from './support.js';

function memory(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const log = (message: string, fields: object = {}): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { lines, debug: log, info: log, warn: log, error: log };
}

async function listener(test: TestContext): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  test.after(() => server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

describe('the health of a data plane', () => {
  it('follows the state of its ports, and says so when it changes', async (test) => {
    const sysfs = await fakeSysfs(test);
    const logger = memory();
    await sysfs.write('mlx5_0', 1, { state: '4: ACTIVE' });
    await sysfs.write('mlx5_1', 2, { state: '4: ACTIVE' });
    const ports = [
      { device: 'mlx5_0', port: 1 },
      { device: 'mlx5_1', port: 2 },
    ];
    const healthy = dataPlaneHealth({ ports, listeners: [], logger, folder: sysfs.folder });
    assert.equal(await healthy(), true);
    await sysfs.write('mlx5_1', 2, { state: '1: DOWN' });
    assert.deepEqual([await healthy(), await healthy()], [false, false]);
    assert.equal(logger.lines.length, 1);
    assert.match(logger.lines[0] ?? '', /"mlx5_1 port 2 is 1: DOWN"/);
    await sysfs.write('mlx5_1', 2, { state: '4: ACTIVE' });
    assert.equal(await healthy(), true);
    assert.match(logger.lines[1] ?? '', /works again/);
    await sysfs.remove('mlx5_0');
    assert.equal(await healthy(), false);
    assert.match(logger.lines[2] ?? '', /RDMA device mlx5_0 is gone/);
  });

  it('does not follow from a state that the kernel never showed', async (test) => {
    const { folder } = await fakeSysfs(test);
    assert.equal(await dataPlaneHealth({ ports: [{ device: 'mlx5_0', port: 1 }], listeners: [], logger: memory(), folder })(), true);
  });

  it('needs listeners that accept', async (test) => {
    const logger = memory();
    const { server, port } = await listener(test);
    const healthy = dataPlaneHealth({ ports: [], listeners: [{ name: 'the listener', host: '127.0.0.1', port }], logger });
    assert.equal(await healthy(), true);
    await new Promise((done) => server.close(done));
    assert.equal(await healthy(), false);
    assert.match(logger.lines[0] ?? '', /the listener does not accept connections: ECONNREFUSED/);
  });
});
