/** Reads from memory of accelerators into memory of accelerators over one NIC, both ends in this process. */
import assert from 'node:assert/strict';
import { native, type NativeNic, type NativePath, type NativePathChoice, type NativeRegion } from '#src/native.js';

/** Not whole pages, and neither at the start of one nor at the end of what was allocated. */
const OFFSET = 4096n * 3n + 123n;
const BYTES = (1n << 22n) + 77n;
const ALLOCATED = OFFSET + BYTES;

const READS = 16;

/** New memory of `cuda:ordinal`, filled. */
export async function deviceMemory(ordinal: number, value: (index: number) => number): Promise<NativeRegion> {
  const region = await native().allocateOnDevice('cuda', ordinal, ALLOCATED);
  await region.write(
    0n,
    Uint8Array.from({ length: Number(ALLOCATED) }, (_, index) => value(index)),
  );
  return region;
}

/**
 * Registers a part of memory of `cuda:0` and of `cuda:1` on each NIC, reads from one into the other over each, and compares every byte,
 * also those around it.
 */
export async function readBetweenDevices(nics: readonly NativeNic[], choice: NativePathChoice, expected: NativePath): Promise<void> {
  const from = await deviceMemory(0, (index) => (index * 31) % 251);
  const served = await Promise.all(nics.map((nic) => nic.register(from, OFFSET, BYTES, 'remote-read', choice)));
  for (const [index, nic] of nics.entries()) {
    const into = await deviceMemory(1, () => 255);
    const local = await nic.register(into, OFFSET, BYTES, 'local-write', choice);
    assert.deepEqual([served[index]!.path, local.path], [expected, expected]);
    await read(nic, from, served[index]!.remoteKey, into, local);
    await into.flush();
    const [sent, arrived] = await Promise.all([contentOf(from), contentOf(into)]);
    assert.deepEqual(arrived.subarray(Number(OFFSET)), sent.subarray(Number(OFFSET)));
    assert.ok(arrived.subarray(0, Number(OFFSET)).every((byte) => byte === 255));
    await local.close();
    into.close();
  }
  await Promise.all(served.map((registration) => registration.close()));
  from.close();
}

async function read(
  nic: NativeNic,
  from: NativeRegion,
  remoteKey: number,
  into: NativeRegion,
  local: Parameters<typeof lane>[2],
): Promise<void> {
  const initiator = await nic.createEndpoint('initiator', 1, READS + 4);
  const responder = await nic.createEndpoint('responder', 1, READS + 4);
  const said = ({ numbers }: { readonly numbers: Uint32Array }) => ({
    gid: nic.gid,
    lid: nic.lid,
    numbers,
    pathMtu: nic.mtu,
    maxReads: READS,
  });
  await initiator.connect(said(responder));
  await responder.connect(said(initiator));
  const outcome = await native().startTransfer({
    remoteAddress: BigUint64Array.of(from.address + OFFSET),
    length: BigUint64Array.of(BYTES),
    localOffset: BigUint64Array.of(OFFSET),
    region: Uint32Array.of(0),
    regions: [into],
    bufferAddress: BigUint64Array.of(from.address + OFFSET),
    bufferLength: BigUint64Array.of(BYTES),
    lanes: [lane(initiator, remoteKey, local)],
    sliceBytes: 1 << 18,
    maxSegments: 1,
    merge: true,
  }).done;
  assert.equal(outcome.fault, undefined);
  assert.equal(outcome.bytes, BYTES);
  await Promise.all([initiator.close(), responder.close()]);
}

type LaneOptions = Parameters<ReturnType<typeof native>['createRdmaLane']>[0];

function lane(endpoint: LaneOptions['endpoint'], remoteKey: number, registration: LaneOptions['registrations'][number]) {
  return native().createRdmaLane({
    name: 'device',
    endpoint,
    remoteKeys: Uint32Array.of(remoteKey),
    registrations: [registration],
    depth: 0,
    queuePairs: 1,
    spinMicroseconds: 50,
    stallTimeoutMs: 10_000,
    processors: '',
  });
}

async function contentOf(region: NativeRegion): Promise<Uint8Array> {
  const bytes = new Uint8Array(Number(region.byteLength));
  await region.read(0n, bytes);
  return bytes;
}
