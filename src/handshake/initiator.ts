/** The target's side of the queue pair exchange. */
import { throwIfAborted, toWeightcastError, WeightcastError } from '../errors.js';
import type { NativeEndpoint, NativeNic } from '../native.js';
import { exchangeConnection } from './client.js';
import { deviceIndex, type SegmentDescriptor, serverName, usableDevices } from './descriptor.js';
import type { ConnectionMessage } from './messages.js';
import { agreedMtu, legacyReads } from './negotiate.js';

/** Mooncake's default first; a peer does not publish its count, it only refuses others. */
const otherCounts = [2, 1, 4, 8];
const maxCount = 64;
/** A farewell is a courtesy: the peer's own bounds take care of what does not arrive. */
const farewellTimeoutMs = 1_000;

export interface OpenEndpointOptions {
  readonly nic: NativeNic;
  /**
   * Our `host:port`, where a handshake listener of ours answers Metadata: old peers ask there for our GID before they reply.
   * The peer retires older queue pairs between the same two devices under the same name.
   */
  readonly localName: string;
  readonly peer: SegmentDescriptor;
  /** The address that was opened; Connection messages go there whatever the descriptor's names are. */
  readonly peerAddress: string;
  /** By name: indices are the publisher's business. */
  readonly remoteDevice: string;
  /** 1 to 64. Another count is tried when the peer insists on one. */
  readonly queuePairs: number;
  /** Upper bound of outstanding reads a queue pair. Default: what both devices can do. */
  readonly maxReads?: number | undefined;
  /** Work requests a queue pair. Default: own reads + 4. */
  readonly sendDepth?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Wait for the peer's reply, ms. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  readonly connectTimeoutMs?: number | undefined;
}

/** Connected queue pairs, ready to post reads. */
export interface OpenedEndpoint {
  readonly endpoint: NativeEndpoint;
  readonly localPath: string;
  readonly remotePath: string;
  /**
   * Closes our queue pairs and tells a Weightcast peer to close its own; a Mooncake peer keeps them until it evicts them.
   * Close lanes first. Never rejects; idempotent.
   */
  release(): Promise<void>;
}

/**
 * Connects fresh queue pairs with one device of a peer.
 *
 * @throws WeightcastError `ERR_HANDSHAKE` when the peer refuses, with its reason; `ERR_DEVICE_NOT_FOUND` when it has no such
 * device in service; `ERR_PROTOCOL`, `ERR_PEER_LOST`, `ERR_STALLED`, `ERR_ABORTED` as `exchange`; `ERR_VERBS` of our device.
 */
export async function openEndpoint(options: OpenEndpointOptions): Promise<OpenedEndpoint> {
  const { queuePairs, peer, peerAddress, remoteDevice } = options;
  if (!Number.isInteger(queuePairs) || queuePairs < 1 || queuePairs > maxCount) {
    throw new WeightcastError(
      'ERR_INVALID_ARGUMENT',
      `Expected 1 to ${String(maxCount)} for queuePairs but received ${String(queuePairs)}`,
    );
  }
  const usable = usableDevices(peer);
  if (!usable.includes(remoteDevice)) {
    throw new WeightcastError(
      'ERR_DEVICE_NOT_FOUND',
      `${peerAddress} has no RDMA device ${remoteDevice} in service; it has: ${usable.join(', ') || 'none'}`,
      { peer: peerAddress },
    );
  }
  let refused: WeightcastError | undefined;
  for (const count of [queuePairs, ...otherCounts.filter((other) => other !== queuePairs)]) {
    const opened = await attempt(options, count);
    if (!(opened instanceof WeightcastError)) return opened;
    refused ??= opened;
  }
  throw refused ?? new WeightcastError('ERR_INTERNAL', 'no queue pair count was tried');
}

/** One exchange with queue pairs of its own. Returns (not throws) the refusal of a peer that wants another count. */
async function attempt(options: OpenEndpointOptions, count: number): Promise<OpenedEndpoint | WeightcastError> {
  const { nic, peer, peerAddress, signal, timeoutMs, connectTimeoutMs } = options;
  const localPath = `${options.localName}@${nic.device}`;
  const remotePath = `${serverName(peer)}@${options.remoteDevice}`;
  const doing = `connecting ${localPath} with ${remotePath}`;
  const ownReads = Math.max(1, Math.min(nic.maxInitiatorReads, options.maxReads ?? nic.maxInitiatorReads));
  throwIfAborted(signal, doing);
  let endpoint: NativeEndpoint | undefined;
  let request: ConnectionMessage | undefined;
  let isWeightcast = peer.weightcast !== undefined;
  try {
    endpoint = await nic.createEndpoint('initiator', count, options.sendDepth ?? ownReads + 4);
    request = {
      localNicPath: localPath,
      peerNicPath: remotePath,
      queuePairs: Array.from(endpoint.numbers),
      replyMessage: '',
      localGid: nic.gid,
      localLid: nic.lid,
      weightcast: { version: 1, maxReads: ownReads, mtu: nic.mtu },
    };
    const reply = await exchangeConnection(peerAddress, request, { signal, timeoutMs, connectTimeoutMs });
    isWeightcast = reply.weightcast?.close === true;
    const refusal = checkReply(request, reply, peerAddress);
    if (refusal !== undefined) {
      void bidFarewell(peerAddress, request, isWeightcast);
      await endpoint.close();
      return refusal;
    }
    await endpoint.connect({
      gid: reply.localGid || peerDevice(options).gid,
      lid: reply.localGid === '' ? peerDevice(options).lid : reply.localLid,
      numbers: Uint32Array.from(reply.queuePairs),
      pathMtu: agreedMtu(nic.mtu, reply.weightcast?.mtu),
      maxReads: Math.min(ownReads, reply.weightcast?.maxReads ?? legacyReads),
    });
    throwIfAborted(signal, doing);
    return opened(endpoint, request, peerAddress, isWeightcast);
  } catch (error) {
    if (request !== undefined) void bidFarewell(peerAddress, request, isWeightcast);
    await endpoint?.close().catch(() => undefined);
    throw toWeightcastError(error, { doing, peer: peerAddress });
  }
}

/**
 * Returns the refusal when another count may help.
 *
 * @throws WeightcastError `ERR_HANDSHAKE` for every other reply that is no acceptance.
 */
function checkReply(request: ConnectionMessage, reply: ConnectionMessage, peer: string): WeightcastError | undefined {
  const fail = (reason: string): WeightcastError =>
    new WeightcastError('ERR_HANDSHAKE', `${peer} rejected the connection ${request.localNicPath} -> ${request.peerNicPath}: ${reason}`, {
      peer,
    });
  if (reply.replyMessage !== '') {
    const refusal = fail(reply.replyMessage.slice(0, 500));
    if (/QP count mismatch/i.test(reply.replyMessage)) return refusal;
    throw refusal;
  }
  if (reply.queuePairs.length === 0) throw fail('an empty reply without a reason; look into its log');
  if (reply.localNicPath !== request.peerNicPath || reply.peerNicPath !== request.localNicPath) {
    throw fail(
      `it answered for ${JSON.stringify(reply.localNicPath.slice(0, 200))} and ${JSON.stringify(reply.peerNicPath.slice(0, 200))}`,
    );
  }
  if (reply.queuePairs.length !== request.queuePairs.length) {
    return fail(`it has ${String(reply.queuePairs.length)} queue pairs and not ${String(request.queuePairs.length)}`);
  }
  return undefined;
}

function peerDevice({ peer, remoteDevice, peerAddress }: OpenEndpointOptions): { readonly gid: string; readonly lid: number } {
  const device = peer.devices[deviceIndex(peer, remoteDevice)];
  if (device !== undefined) return device;
  throw new WeightcastError('ERR_DEVICE_NOT_FOUND', `${peerAddress} has no RDMA device ${remoteDevice}`, { peer: peerAddress });
}

function opened(endpoint: NativeEndpoint, request: ConnectionMessage, peerAddress: string, isWeightcast: boolean): OpenedEndpoint {
  let released: Promise<void> | undefined;
  return {
    endpoint,
    localPath: request.localNicPath,
    remotePath: request.peerNicPath,
    release: () =>
      (released ??= Promise.allSettled([endpoint.close(), bidFarewell(peerAddress, request, isWeightcast)]).then(() => undefined)),
  };
}

/** Tells a Weightcast peer that its side of these queue pairs may go. Never rejects. */
async function bidFarewell(peerAddress: string, request: ConnectionMessage, isWeightcast: boolean): Promise<void> {
  if (!isWeightcast) return;
  const message: ConnectionMessage = { ...request, weightcast: { version: 1, close: true } };
  const options = { timeoutMs: farewellTimeoutMs, connectTimeoutMs: farewellTimeoutMs };
  await exchangeConnection(peerAddress, message, options).catch(() => undefined);
}
