/** Memory that cannot be pinned, as a low memlock limit leaves it. The device is a double; what is read by TCP is real. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { WeightcastError } from '#src/errors.js';
import { rdmaDescriptor, type SegmentDescriptor } from '#src/handshake/index.js';
import { LocalEnd } from '#src/target/local-end.js';
import { anyMemory } from '#src/locality.js';
import { openWire, type OpenWire, type WireSetup } from '#src/target/open-wire.js';
import { PullClock } from '#src/target/progress.js';
import { Scope } from '#src/target/scope.js';
import { Region } from '#src/region.js';
import type { NativeRegistration } from '#src/native.js';
import { byteTensors, startServer } from '../../support/cluster.js';
import { fault, gidOf, NicDouble } from '../../support/nic-double.js';
import { serveTensors, shared } from './support.js';

const server = await startServer();

/** A port whose memory lock limit is too low. */
class PoorNic extends NicDouble {
  override register(): Promise<NativeRegistration> {
    return Promise.reject(fault('may pin 65536 bytes only, raise ulimit -l', 'MEMLOCK_LIMIT', 'ibv_reg_mr', 12));
  }
}

async function open(context: TestContext, asked: WireSetup['asked'], offersTcp: boolean): Promise<OpenWire> {
  const options = shared(server.address);
  const seed = await serveTensors(context, options, 'seed', byteTensors([4096]));
  const scope = new Scope();
  context.after(() => scope.close());
  const local = await LocalEnd.open('127.0.0.1', []);
  scope.add(() => local.close());
  const { sessionId } = seed.summary;
  const served = await local.fetchPeer(sessionId, 'tcp', undefined);
  const nic = new PoorNic('mlx5_0', gidOf(1));
  // A seed with both transports, whose TCP port is the real one.
  const descriptor: SegmentDescriptor = rdmaDescriptor({
    name: served.name,
    devices: [{ name: 'mlx5_0', gid: gidOf(2), lid: 0 }],
    buffers: served.buffers.map((buffer) => ({ ...buffer, location: 'cpu:0', remoteKeys: [1], readable: true })),
    weightcast: { version: 1, ...(offersTcp && { tcpDataPort: served.tcpDataPort, tcpProtoVersion: 2 }) },
  });
  const region = await Region.allocate(4096n);
  scope.add(() => {
    region.close();
  });
  const setup = {
    ...{ local, descriptor, asked, placement: { tensors: [], at: [], regions: [region.handle] } },
    ...({ devicePath: 'auto', sliceBytes: undefined, nics: [nic], named: false, memory: anyMemory } as const),
    options: {
      sessionId,
      queuePairs: 1,
      readsInFlight: 1,
      connections: 1,
      stallTimeoutMs: 1000,
      signal: undefined,
      processorsOf: () => '',
    },
  };
  const pairs = [{ nic, remoteDevice: 'mlx5_0', remoteIndex: 0 }];
  return openWire({ transport: 'rdma', pairs }, setup, new PullClock(undefined, () => undefined), scope);
}

test('with auto, TCP is used, and the limit is the reason', async (context) => {
  const { connection, decision } = await open(context, 'auto', true);
  assert.equal(connection.transport, 'tcp');
  assert.equal(connection.lanes.length, 1);
  assert.equal(decision.transport, 'tcp');
  assert.match(decision.reason, /cannot register the memory to read into: may pin 65536 bytes only/);
});

test('with rdma, or where the seed offers no TCP, it is an error', async (context) => {
  const limit = (error: WeightcastError): boolean => error.code === 'ERR_MEMLOCK_LIMIT' && error.message.includes('65536');
  await assert.rejects(open(context, 'rdma', true), limit);
  await assert.rejects(open(context, 'auto', false), limit);
});
