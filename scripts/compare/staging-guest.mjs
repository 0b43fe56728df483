// The measuring half of staging.mjs. Runs inside the Soft-RoCE machine: `staging-guest.mjs RUNS`; leaves runs.json.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { native } from '../../dist/native.js';
import { closeRails, openRails } from '../../dist/rails.js';
import { versionOf } from './processes.mjs';
import { alternating } from './turns.mjs';

const RUNS = Number(process.argv[2]);
const BYTES = 128n << 20n;
const SLICE_BYTES = 1 << 20;
const SLOTS = 32;
const READS = 16;

/** Different everywhere, so that a slice in another one's place is seen. */
const wanted = Buffer.from(Uint32Array.from({ length: Number(BYTES) / 4 }, (_, i) => Math.imul(i, 2654435761)).buffer);
const rails = await openRails({ transport: 'rdma', devices: ['rxe0'], gidIndex: 1 });
const [nic] = rails.nics;
const source = await used(BYTES, 0);
await source.write(0n, wanted);
const served = await nic.register(source, 0n, BYTES, 'remote-read', 'auto');
const staging = await used(BigInt(SLOTS * SLICE_BYTES), 1);
const targets = {
  host: await targetOf(await used(BYTES, 0), undefined),
  staging: await targetOf(await native().allocateOnDevice('cuda', 0, BYTES), staging),
};
const readers = Object.fromEntries(Object.entries(targets).map(([who, target]) => [who, { read: () => readInto(target) }]));
const runs = await alternating('128 MiB', RUNS, readers);
writeFileSync(
  path.join(process.env.RDMA_OUT, 'runs.json'),
  JSON.stringify({
    runs,
    bytes: Number(BYTES),
    sliceBytes: SLICE_BYTES,
    slots: SLOTS,
    versions: {
      rdmaCore: versionOf('dpkg-query', '-W', '-f', '${Version}', 'ibverbs-providers'),
      kernel: versionOf('uname', '-r'),
      node: process.version,
    },
  }),
);
for (const { registration } of Object.values(targets)) await registration.close();
await served.close();
for (const region of [source, staging, ...Object.values(targets).map(({ into }) => into)]) region.close();
await closeRails(rails);

/** Host memory whose pages are there. */
async function used(bytes, value) {
  const region = await native().allocate(bytes, 'auto');
  new Uint8Array(region.view(0n, Number(bytes))).fill(value);
  return region;
}

/** What is read into, with what the NIC writes to registered: the staging, where there is any. */
async function targetOf(into, by) {
  const region = by ?? into;
  return { into, staging: by, registration: await nic.register(region, 0n, region.byteLength, 'local-write', 'auto') };
}

/** Overwrites the target, reads all of the source into it and compares. */
async function readInto({ into, staging: by, registration }) {
  await into.write(0n, new Uint8Array(Number(BYTES)));
  const [initiator, responder] = await Promise.all([
    nic.createEndpoint('initiator', 1, READS + 4),
    nic.createEndpoint('responder', 1, READS + 4),
  ]);
  await initiator.connect(said(responder));
  await responder.connect(said(initiator));
  const lane = native().createRdmaLane({
    name: 'rxe0>rxe0',
    endpoint: initiator,
    remoteKeys: Uint32Array.of(served.remoteKey),
    registrations: [registration],
    depth: 0,
    queuePairs: 1,
    spinMicroseconds: 50,
    stallTimeoutMs: 10_000,
    processors: '',
  });
  const { fault, wireMs } = await native().startTransfer({
    remoteAddress: BigUint64Array.of(source.address),
    length: BigUint64Array.of(BYTES),
    localOffset: BigUint64Array.of(0n),
    region: Uint32Array.of(0),
    regions: [into],
    bufferAddress: BigUint64Array.of(source.address),
    bufferLength: BigUint64Array.of(BYTES),
    lanes: [lane],
    sliceBytes: SLICE_BYTES,
    maxSegments: 16,
    merge: true,
    ...(by && { staging: by }),
  }).done;
  if (fault !== undefined) throw fault;
  const arrived = new Uint8Array(Number(BYTES));
  await into.read(0n, arrived);
  if (!wanted.equals(arrived)) throw new Error('other bytes arrived');
  await Promise.all([lane, initiator, responder].map((handle) => handle.close()));
  return { bytes: Number(BYTES), seconds: wireMs / 1000 };
}

function said({ numbers }) {
  return { gid: nic.gid, lid: nic.lid, numbers, pathMtu: nic.mtu, maxReads: READS };
}
