/** The odd tensors between this process and a Mooncake peer, either way and over any transport, every byte compared. */
import assert from 'node:assert/strict';
import { SourceStatus } from '#src/gen/model_express/p2p.js';
import { MetadataClient } from '#src/metadata/client.js';
import type { Region } from '#src/region.js';
import type { SeedTensor } from '#src/seed/index.js';
import { pull, type RegistryPullOptions, type PullResult } from '#src/target/index.js';
import { publish } from '../../integration/target/support.js';
import { oddTensors, offsetsOf } from './odd-tensors.js';
import { pattern, type MooncakePeer, type Placed } from './peer.js';

/** What the bytes of all tensors follow from. */
export const filled = 'odd tensors';

/** As peer.py's `allocate` places by default. */
const align = 64;

export const tensors = oddTensors();
export const offsets = offsetsOf(tensors, align);
export const bytesOf: Readonly<Record<string, number>> = Object.fromEntries(tensors);
export const totalBytes = tensors.reduce((sum, [, bytes]) => sum + bytes, 0);

/** All tensors as they must arrive, at {@link offsets}. */
export const expected = pattern(filled, Math.max(...tensors.map(([name, bytes]) => (offsets[name] ?? 0) + bytes)));

/** The bytes of one tensor. */
export function expectedOf(name: string): Buffer {
  const offset = offsets[name] ?? 0;
  return expected.subarray(offset, offset + (bytesOf[name] ?? 0));
}

/** What a seed offers of a region of at least {@link totalBytes}: the tensors without a gap, which makes them one range to register. */
export function partsOf(region: Region): readonly SeedTensor[] {
  let end = 0;
  return tensors.map(([name, byteLength]) => {
    const offset = BigInt(end);
    end += byteLength;
    region.view(offset, byteLength).set(expectedOf(name));
    return { name, dtype: 'U8', data: { region, offset, byteLength: BigInt(byteLength) } };
  });
}

/** Makes a Mooncake seed known as ModelExpress does with `transport=transfer_engine`: a session, names, addresses and sizes, no dtypes. */
export async function publishSession(
  options: Pick<RegistryPullOptions, 'identity' | 'server'>,
  session: string,
  placed: Placed,
): Promise<void> {
  const sent = Object.entries(placed).map(([name, [address, bytes]]) => ({
    name,
    addr: BigInt(address),
    size: BigInt(bytes),
    deviceId: 0,
    dtype: '',
  }));
  await publish(options, 'mooncake', {
    backendMetadata: { $case: 'transferEngineSessionId', value: session },
    sourcePayload: { $case: 'tensorSource', value: { tensors: sent } },
  });
}

/** Says that the Mooncake seed is still there, as ModelExpress' client does all the time: a silent worker is STALE after a minute and a half. */
export async function stillThere(options: Pick<RegistryPullOptions, 'identity' | 'server'>): Promise<void> {
  await using client = new MetadataClient(options.server);
  for (const source of await client.listSources({ identity: options.identity })) {
    const { mxSourceId, workerId, workerRank } = source;
    await client.updateStatus({ mxSourceId, workerId, workerRank, status: SourceStatus.SOURCE_STATUS_READY });
  }
}

/** Our target's side: all tensors into new memory, once. */
export async function pullAll(options: Omit<RegistryPullOptions, 'into'>): Promise<PullResult> {
  const result = await pull({ ...options, into: { kind: 'memory' } });
  assert.equal(result.transport, options.transport);
  assert.equal(result.tensors, tensors.length);
  assert.equal(result.verified, undefined);
  assert.ok(result.output.kind === 'memory');
  using region = result.output.region;
  const arrived = new Map(result.output.tensors.map((tensor) => [tensor.name, tensor]));
  for (const [name, bytes] of tensors) {
    const tensor = arrived.get(name);
    assert.equal(tensor?.bytes, BigInt(bytes), name);
    assert.ok(expectedOf(name).equals(region.view(tensor.offset, bytes)), `${name} differs`);
  }
  return result;
}

/** What a Mooncake process needs to read a seed of ours. */
export interface PublishedSeed {
  readonly session: string;
  /** Decimal. */
  readonly addresses: Readonly<Record<string, string>>;
}

/** From the server, where ModelExpress' client looks for it. */
export async function publishedSeed(server: string, mxSourceId: string, workerId: string): Promise<PublishedSeed> {
  await using client = new MetadataClient(server);
  const found = await client.getMetadata(mxSourceId, workerId);
  assert.ok(found, `${workerId} is not at ${server}`);
  const { backendMetadata, sourcePayload } = found.worker;
  assert.ok(backendMetadata?.$case === 'transferEngineSessionId');
  assert.ok(sourcePayload?.$case === 'tensorSource');
  const addresses = sourcePayload.value.tensors.map(({ name, addr }) => [name, String(addr)] as const);
  return { session: backendMetadata.value, addresses: Object.fromEntries(addresses) };
}

/** Mooncake's side: all tensors into its own memory, which is cleared before, in one `batch_transfer_sync_read`. */
export async function readAll(peer: MooncakePeer, { session, addresses }: PublishedSeed): Promise<void> {
  await peer.clear();
  const { result, bytes } = await peer.read(session, addresses);
  assert.equal(result, 0, peer.log.slice(-2000));
  assert.equal(bytes, totalBytes);
  assert.deepEqual(await peer.differing(offsets, filled), []);
}
