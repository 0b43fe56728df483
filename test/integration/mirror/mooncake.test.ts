/** Mirrors of a real Mooncake TransferEngine, which publishes neither shapes nor checksums: another one reads from the mirror. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TensorDescriptor } from '#src/gen/model_express/p2p.js';
import { MetadataClient } from '#src/index.js';
import { startServer, temporaryFolder } from '../../support/cluster.js';
import { sha256sums } from '../../support/models.js';
import { offsetsOf, oddTensors } from '../../support/mooncake/odd-tensors.js';
import { MooncakePeer, versions, whySkip } from '../../support/mooncake/peer.js';
import { pull, summaryOf } from '../../support/roles.js';
import { publish } from '../target/support.js';
import { mirrorProcess, tcp } from './support.js';

const [newest = ''] = versions;
const env = { MC_FORCE_TCP: '1' };
const modelName = 'org/from-mooncake';
const server = await startServer();

/** A Mooncake process with these tensors, filled, at the server as SGLang's loader publishes it through ModelExpress. */
async function mooncakeSeed(tensors: readonly (readonly [name: string, bytes: number])[], filled: string): Promise<MooncakePeer> {
  const seed = MooncakePeer.start(newest, env);
  const session = await seed.initialize('127.0.0.1');
  const placed = await seed.allocate(tensors, { filled });
  await seed.register();
  const descriptors = Object.entries(placed).map(([name, [address, bytes]]): TensorDescriptor => ({
    name,
    addr: BigInt(address),
    size: BigInt(bytes),
    deviceId: 0,
    dtype: '',
  }));
  await publish({ identity: { modelName }, server: server.address }, 'mooncake', {
    backendMetadata: { $case: 'transferEngineSessionId', value: session },
    sourcePayload: { $case: 'tensorSource', value: { tensors: descriptors } },
  });
  return seed;
}

describe('a mirror of a Mooncake seed', { skip: whySkip(newest) }, () => {
  test('outlives it: another Mooncake process loads every byte, and so does a Weightcast target', async () => {
    const tensors = oddTensors();
    const bytes = tensors.reduce((sum, [, size]) => sum + size, 0);
    const seed = await mooncakeSeed(tensors, 'weights');
    const args = ['--server', server.address, '--model-name', modelName, ...tcp];
    const folder = await temporaryFolder();
    summaryOf(await pull([...args, '--out', join(folder, 'from-seed')]));
    const { role, ready } = await mirrorProcess([...args, '--worker-id', 'mirror']);
    assert.deepEqual([ready.tensors, ready.bytes, ready.source.workerId], [500, bytes, 'mooncake']);
    const { tensors: verified, bytes: verifiedBytes, bytesReadTwice } = ready.source.verified ?? {};
    assert.deepEqual([verified, verifiedBytes, bytesReadTwice], [500, bytes, bytes]);
    await seed.kill();

    await using client = new MetadataClient(server.address);
    const found = await client.getMetadata(ready.sourceId, 'mirror');
    assert.ok(found?.worker.backendMetadata?.$case === 'transferEngineSessionId');
    assert.ok(found.worker.sourcePayload?.$case === 'tensorSource');
    const listed = found.worker.sourcePayload.value.tensors;
    assert.deepEqual(
      listed.map(({ name, size, dtype }) => [name, Number(size), dtype]),
      tensors.map(([name, size]) => [name, size, '']),
    );
    const target = MooncakePeer.start(newest, env);
    await target.initialize('127.0.0.1');
    await target.allocate(tensors);
    await target.register();
    const addresses = Object.fromEntries(listed.map(({ name, addr }) => [name, String(addr)]));
    const report = await target.read(found.worker.backendMetadata.value, addresses);
    assert.deepEqual([report.result, report.bytes], [0, bytes]);
    assert.deepEqual(await target.differing(offsetsOf(tensors, 64), 'weights'), []);

    // What Weightcast's targets get is the same as from the seed, down to what it does not say.
    const summary = summaryOf(await pull([...args, '--out', join(folder, 'from-mirror')]));
    assert.equal(summary.verified?.bytes, bytes, 'by the checksums of the mirror');
    assert.match(summary.notes.join(), /500 tensor\(s\) were written flat/);
    assert.deepEqual(await sha256sums(join(folder, 'from-mirror')), await sha256sums(join(folder, 'from-seed')));
    await role.stop();
  });
});
