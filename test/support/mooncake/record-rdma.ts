/**
 * Records every release over RDMA, both roles, for test/fixtures/mooncake:
 * `scripts/softroce-vm --out DIR -- node build/test/support/mooncake/record-rdma.js [VERSION…]`, and then copy DIR/VERSION.
 * What old releases ask back (Metadata, while they answer a Connection) goes to the asker itself, past the recorder.
 */
import { pathToFileURL } from 'node:url';
import {
  exchangeConnection,
  fetchDescriptor,
  openEndpoint,
  probe,
  sendNotify,
  serverName,
  type ConnectionMessage,
} from '#src/handshake/index.js';
import { MetadataServer } from '#src/metadata/server/server.js';
import { closeRails, openRails } from '#src/rails.js';
import { Region } from '#src/region.js';
import { seedTensors } from '#src/seed/index.js';
import { LocalEnd } from '#src/target/local-end.js';
import { address, GID_INDEX, outDirectory } from '../softroce.js';
import { MooncakePeer, pattern, versions, type Placed } from './peer.js';
import { Recorder, saveRecording } from './recorder.js';

const host = address(0);
/** Two regions that do not touch. */
const tensors = [
  ['first', 5],
  ['second', 300],
] as const;
const filled = 'recorded';
const environment = { MC_GID_INDEX: String(GID_INDEX), MC_ENABLE_DEST_DEVICE_AFFINITY: '1' };
const rails = await openRails({ transport: 'rdma', gidIndex: GID_INDEX });

for (const version of process.argv.length > 2 ? process.argv.slice(2) : versions) {
  const { peer: seed, session } = await start(version);
  const placed = await seed.allocate(tensors, { filled });
  await seed.register({ merged: false });
  await save('rdma-between-mooncakes', version, await betweenMooncakes(version, session, placed));
  await save('rdma-mooncake-reads', version, await mooncakeReads(version));
  await save('rdma-mooncake-serves', version, await mooncakeServes(session));
  await seed.kill();
}
await closeRails(rails);
process.exit(0);

async function start(version: string): Promise<{ peer: MooncakePeer; session: string }> {
  const peer = MooncakePeer.start(version, environment);
  return { peer, session: await peer.initialize(host) };
}

async function save(name: string, version: string, recorder: Recorder): Promise<void> {
  await recorder.close();
  const into = pathToFileURL(`${outDirectory()}/`);
  console.log(await saveRecording(name, { version, transport: 'rdma', exchanges: recorder.exchanges }, into));
}

/** A reader of its own each time: it keeps descriptors and queue pairs. */
async function read(version: string, session: string, addresses: Readonly<Record<string, string>>): Promise<void> {
  const { peer } = await start(version);
  await peer.allocate(tensors);
  await peer.register();
  const { result } = await peer.read(session, addresses);
  console.log(`  ${version}: batch_transfer_sync_read returned ${String(result)}`);
  await peer.kill();
}

async function betweenMooncakes(version: string, session: string, placed: Placed): Promise<Recorder> {
  const recorder = new Recorder('mooncake', 'mooncake', true);
  recorder.note = 'a Mooncake reader reads two tensors of a Mooncake seed';
  const addresses = Object.entries(placed).map(([name, [at]]) => [name, at] as const);
  await read(version, await recorder.handshake(session), Object.fromEntries(addresses));
  return recorder;
}

async function mooncakeReads(version: string): Promise<Recorder> {
  const recorder = new Recorder('mooncake', 'weightcast', true);
  await using server = await MetadataServer.listen({ listen: `${host}:0` });
  using region = await Region.allocate(4096n);
  region.view(0n, 305).set(pattern(filled, 305));
  const at = { first: 0n, second: 1024n };
  const parts = tensors.map(([name, bytes]) => ({
    name,
    dtype: 'U8',
    data: { region, offset: at[name], byteLength: BigInt(bytes) },
  }));
  await using ours = await seedTensors(parts, {
    identity: { modelName: 'org/recorded' },
    server: server.address,
    host,
    transport: 'rdma',
    gidIndex: GID_INDEX,
  });
  recorder.note = 'a Mooncake reader reads two tensors of a Weightcast seed';
  const addresses = { first: String(region.address + at.first), second: String(region.address + at.second) };
  await read(version, await recorder.handshake(ours.summary.sessionId), addresses);
  return recorder;
}

async function mooncakeServes(session: string): Promise<Recorder> {
  const recorder = new Recorder('weightcast', 'mooncake', true);
  const asked = await recorder.handshake(session);
  const [nic] = rails.nics;
  if (nic === undefined) throw new Error('no RDMA device');
  const local = await LocalEnd.open(host, rails.nics);
  const { name: localName, descriptor: own } = local;
  const step = async (note: string, work: () => Promise<unknown>): Promise<void> => {
    recorder.note = note;
    await work().catch((error: unknown) => {
      console.log(`  ${note}: ${String(error)}`);
    });
    await recorder.quiet();
  };
  let peer = own;
  await step('Metadata', async () => {
    peer = await fetchDescriptor(asked, own, { prefer: 'rdma' });
  });
  await step('Probe', () => probe(asked, { timeoutMs: 2000 }));
  await step('Notify', () => sendNotify(asked, { name: localName, message: 'hello' }, { timeoutMs: 2000 }));
  const open = { nic, localName, peer, peerAddress: asked, remoteDevice: nic.device, queuePairs: 2 };
  await step('Connection', async () => {
    const opened = await openEndpoint(open);
    await opened.release();
  });
  await step('Connection with other numbers, of the same path', async () => {
    const opened = await openEndpoint(open);
    await opened.release();
  });
  const message: ConnectionMessage = {
    localNicPath: `${localName}@${nic.device}`,
    peerNicPath: `${serverName(peer)}@${nic.device}`,
    queuePairs: [17, 18],
    replyMessage: '',
    localGid: nic.gid,
    localLid: nic.lid,
  };
  const say = (changes: Partial<ConnectionMessage>): Promise<unknown> => exchangeConnection(asked, { ...message, ...changes });
  await step('Connection', () => say({}));
  await step('the same Connection again', () => say({}));
  await step('Connection with one queue pair', () => say({ queuePairs: [19] }));
  await step('Connection to a device that is not there', () => say({ peerNicPath: `${serverName(peer)}@mlx5_9` }));
  await step('Connection to another name', () => say({ peerNicPath: `10.0.0.9:1234@${nic.device}` }));
  await step('Connection without a GID', () => say({ localGid: '' }));
  await local.close();
  return recorder;
}
