/** `node build/test/support/mooncake/record.js [VERSION…]`: records every release over TCP, both roles, into test/fixtures/mooncake. */
import { connect } from 'node:net';
import { encodeFrame, fetchDescriptor, MessageType, probe, sendNotify, tcpDescriptor } from '#src/handshake/index.js';
import { MetadataServer } from '#src/metadata/server/server.js';
import { native } from '#src/native.js';
import { seedTensors } from '#src/seed/index.js';
import { MooncakePeer, pattern, versions, type Placed } from './peer.js';
import { Recorder, saveRecording } from './recorder.js';

const host = '127.0.0.1';
/** Two regions that do not touch, so that there is something between them. */
const tensors = [
  ['first', 5],
  ['second', 300],
] as const;
const filled = 'recorded';
const environment = { MC_FORCE_TCP: '1' };

for (const version of process.argv.length > 2 ? process.argv.slice(2) : versions) {
  const seed = MooncakePeer.start(version, environment);
  const session = await seed.initialize(host);
  const placed = await seed.allocate(tensors, { filled });
  await seed.register({ merged: false });
  const reader = MooncakePeer.start(version, environment);
  await reader.initialize(host);
  await reader.allocate(tensors);
  await reader.register({ merged: true });

  await save('tcp-between-mooncakes', version, await betweenMooncakes(reader, session, placed));
  await save('tcp-mooncake-reads', version, await mooncakeReads(reader));
  await save('tcp-mooncake-serves', version, await mooncakeServes(session, placed));
  await Promise.all([seed.kill(), reader.kill()]);
}
process.exit(0);

async function save(name: string, version: string, recorder: Recorder): Promise<void> {
  await recorder.close();
  console.log(await saveRecording(name, { version, transport: 'tcp', exchanges: recorder.exchanges }));
}

async function betweenMooncakes(reader: MooncakePeer, session: string, placed: Placed): Promise<Recorder> {
  const recorder = new Recorder('mooncake', 'mooncake');
  recorder.note = 'a Mooncake reader reads two tensors of a Mooncake seed';
  const { result } = await reader.read(await recorder.handshake(session), addressesOf(placed));
  console.log(`  batch_transfer_sync_read returned ${String(result)}`);
  return recorder;
}

async function mooncakeReads(reader: MooncakePeer): Promise<Recorder> {
  const recorder = new Recorder('mooncake', 'weightcast');
  await using server = await MetadataServer.listen({ listen: `${host}:0` });
  const bytes = pattern(filled, 305);
  const parts = [bytes.subarray(0, 5), bytes.subarray(5)].map((part) => new Uint8Array(part));
  await using ours = await seedTensors(
    parts.map((data, index) => ({ name: tensors[index]?.[0] ?? '', dtype: 'U8', data })),
    { identity: { modelName: 'org/recorded' }, server: server.address, host, transport: 'tcp' },
  );
  const session = await recorder.handshake(ours.summary.sessionId);
  const { buffers } = await fetchDescriptor(ours.summary.sessionId, tcpDescriptor({ name: `${host}:1` }), { prefer: 'tcp' });
  const at = (bytesOf: bigint): string => String(buffers.find(({ length }) => length === bytesOf)?.address ?? 0n);
  recorder.note = 'a Mooncake reader reads two tensors of a Weightcast seed';
  await reader.read(session, { first: at(5n), second: at(300n) });
  return recorder;
}

async function mooncakeServes(session: string, placed: Placed): Promise<Recorder> {
  const recorder = new Recorder('weightcast', 'mooncake');
  const asked = await recorder.handshake(session);
  const step = async (note: string, work: () => Promise<unknown>): Promise<void> => {
    recorder.note = note;
    await work().catch((error: unknown) => {
      console.log(`  ${note}: ${String(error)}`);
    });
    await recorder.quiet();
  };
  const own = tcpDescriptor({ name: `${host}:15555` });
  let descriptor = own;
  await step('Metadata', async () => {
    descriptor = await fetchDescriptor(asked, own, { prefer: 'tcp' });
  });
  await step('Probe', () => probe(asked, { timeoutMs: 2000 }));
  await step('Notify', () => sendNotify(asked, { name: own.name, message: 'hello' }, { timeoutMs: 2000 }));
  const refused = { local_nic_path: `${own.name}@rxe0`, peer_nic_path: `${session}@rxe0`, qp_num: [17, 18], reply_msg: '' };
  await step('Connection to a process without RDMA', () => say(asked, encodeFrame(MessageType.connection, JSON.stringify(refused))));
  await step('a message type that nobody knows', () => say(asked, encodeFrame(0x40, '{}')));
  await step('text that is no JSON', () => say(asked, encodeFrame(MessageType.metadata, '{"name":')));

  const [first, second] = tensors.map(([name]) => BigInt(placed[name]?.[0] ?? 0));
  const data = `${host}:${String(descriptor.tcpDataPort)}`;
  const between = (first ?? 0n) + 5n;
  for (const versionBit of descriptor.tcpProtoVersion >= 2 ? [0, 0x80] : [0]) {
    const named = versionBit === 0 ? 'version 1' : 'version 2';
    await step(`READ, ${named}`, () => read(descriptor, [first ?? 0n, second ?? 0n], versionBit === 0 ? 1 : 2));
    // Releases that check no address serve these bytes; they are the peer's own, and mapped.
    await step(`READ of what is not registered, ${named}`, () => say(data, header(20n, between, versionBit), 28));
  }
  return recorder;
}

/** Both tensors over one connection of ours, as far as the peer keeps it. */
async function read(descriptor: { readonly tcpDataPort: number }, addresses: readonly bigint[], protocolVersion: 1 | 2): Promise<void> {
  const lane = await native().connectTcpLane({
    name: 'recorded',
    host,
    port: descriptor.tcpDataPort,
    protocolVersion,
    connectTimeoutMs: 5000,
    stallTimeoutMs: 5000,
  });
  const region = await native().allocate(4096n, 'never');
  const length = BigUint64Array.from(tensors, ([, bytes]) => BigInt(bytes));
  const outcome = await native().startTransfer({
    remoteAddress: BigUint64Array.from(addresses),
    length,
    localOffset: BigUint64Array.of(0n, 2048n),
    region: Uint32Array.of(0, 0),
    regions: [region],
    bufferAddress: BigUint64Array.from(addresses),
    bufferLength: length,
    lanes: [lane],
    sliceBytes: 4096,
    maxSegments: 1,
    merge: true,
  }).done;
  await lane.close();
  region.close();
  if (outcome.fault !== undefined) throw outcome.fault;
}

function header(size: bigint, address: bigint, versionBit: number): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeBigUInt64LE(size, 0);
  bytes.writeBigUInt64LE(address, 8);
  bytes.writeUInt8(versionBit, 16);
  return bytes;
}

/** Sends bytes and waits until the peer closes, falls silent or has sent `enough`. */
function say(address: string, bytes: Buffer, enough = Infinity): Promise<void> {
  const at = address.lastIndexOf(':');
  return new Promise((resolve) => {
    const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)) }, () => socket.write(bytes));
    let got = 0;
    socket.setTimeout(1000, () => socket.end());
    socket.on('data', (chunk) => {
      got += chunk.length;
      if (got >= enough) socket.end();
    });
    socket
      .on('error', () => undefined)
      .on('close', () => {
        resolve();
      });
  });
}

function addressesOf(placed: Placed): Record<string, string> {
  return Object.fromEntries(Object.entries(placed).map(([name, [address]]) => [name, address]));
}
