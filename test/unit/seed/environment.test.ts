import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger, type Logger } from '#src/observe/logger.js';
import { environmentSeed } from '#src/seed/environment.js';

const nowhere = { DYN_TOPOLOGY_MOUNT_PATH: '/nonexistent' };

describe('what the environment says of a seed', () => {
  it('is nothing by default', async () => {
    assert.deepEqual(await environmentSeed(nowhere), { topology: {} });
    const empty = { MX_WORKER_HOST: '', POD_NAME: '', MX_P2P_RUNTIME_METRICS_URL: '' };
    assert.deepEqual(await environmentSeed({ ...nowhere, ...empty }), { topology: {} });
  });

  it('is every variable that a ModelExpress worker has and that means the same here', async () => {
    const env = {
      MX_P2P_METADATA: '1',
      MX_P2P_TOPOLOGY: '{"rack":"r3"}',
      MX_P2P_RUNTIME_METRICS_URL: 'http://127.0.0.1:30000/metrics',
      POD_NAME: 'sglang-0',
      POD_NAMESPACE: 'inference',
      MX_WORKER_HOST: '10.0.0.5',
      MX_WORKER_GRPC_PORT: '6555',
      MX_HEARTBEAT_INTERVAL_SECS: '10',
      MX_PUBLISH_TIMEOUT_SECS: '600',
      MX_TRANSFER_TIMEOUT: '300',
    };
    assert.deepEqual(await environmentSeed(env), {
      manifest: 'worker',
      topology: { rack: 'r3' },
      runtimeMetricsUrl: 'http://127.0.0.1:30000/metrics',
      pod: { name: 'sglang-0', uid: undefined, namespace: 'inference' },
      host: '10.0.0.5',
      workerPort: 6555,
      heartbeatIntervalMs: 10_000,
      publishTimeoutMs: 600_000,
      transferTimeoutMs: 300_000,
    });
    assert.equal((await environmentSeed({ ...env, WEIGHTCAST_HOST: '10.9.9.9' })).host, '10.9.9.9');
  });

  it('means worker-served manifests with exactly "1", central ones with anything else', async () => {
    for (const [text, mode] of [
      ['1', 'worker'],
      ['0', 'central'],
      ['true', 'central'],
      ['', 'central'],
    ] as const) {
      assert.equal((await environmentSeed({ ...nowhere, MX_P2P_METADATA: text })).manifest, mode, text);
    }
  });

  it('is not used where it makes no sense, and that is said', async () => {
    const warnings: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) };
    const env = {
      ...nowhere,
      MX_HEARTBEAT_INTERVAL_SECS: '0',
      MX_PUBLISH_TIMEOUT_SECS: 'soon',
      MX_TRANSFER_TIMEOUT: '1.5',
      MX_WORKER_GRPC_PORT: '65536',
    };
    assert.deepEqual(await environmentSeed(env, logger), { topology: {} });
    assert.deepEqual(
      warnings.map((text) => text.split(' ')[0]),
      ['MX_WORKER_GRPC_PORT', 'MX_HEARTBEAT_INTERVAL_SECS', 'MX_PUBLISH_TIMEOUT_SECS', 'MX_TRANSFER_TIMEOUT'],
    );
  });
});
