/** The target's side of the queue pair exchange. */
import { throwIfAborted, toWeightcastError, WeightcastError } from '../errors.js';
import type { NativeEndpoint, NativeNic } from '../native.js';
import { exchangeConnection } from './client.js';
import { deviceIndex, type SegmentDescriptor, serverName, usableDevices } from './descriptor.js';
import type { ConnectionMessage } from './messages.js';
import { agreedMtu, legacyReads } from './negotiate.js';
import { createUnheard } from './unheard.js';

/** Mooncake's default first; a peer does not publish its count, it only refuses others. */
const otherCounts = [2, 1, 4, 8];
const maxCount = 64;
/** Of one endpoint; a peer that changes its mind has no count. */
const maxAttempts = 6;
const withoutReason = 'an empty reply without a reason; look into its log';
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
  /** 1 to 64. When the peer insists on another count, or refuses without a reason, it is asked with others. */
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
 * Connects fresh queue pairs with one device of a peer. A peer has a count of them that both sides must have: where it may be
 * the reason of a refusal, 2, 1, 4 and 8 are tried as well, each with queue pairs of its own.
 *
 * @throws WeightcastError `ERR_HANDSHAKE` when the peer refuses, with its reason and the counts that were tried;
 * `ERR_DEVICE_NOT_FOUND` when it has no such device in service; `ERR_PROTOCOL`, `ERR_PEER_LOST`, `ERR_STALLED`, `ERR_ABORTED` as
 * `exchange`; `ERR_VERBS` of our device.
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
  const refusals = new Map<number, Refusal>();
  const untried = [queuePairs, ...otherCounts];
  for (let count = untried.shift(); count !== undefined && refusals.size < maxAttempts; count = untried.shift()) {
    if (refusals.has(count)) continue;
    const opened = await attempt(options, count);
    if (!('reason' in opened)) return opened;
    refusals.set(count, opened);
    // Peers that answer with their own count have said what they want.
    if (opened.count > 0 && opened.count <= maxCount) untried.unshift(opened.count);
  }
  const [reason = ''] = [...refusals.values()].map((refusal) => refusal.reason);
  const tried = [...refusals.keys()].join(', ');
  throw refusedBy(options, `${reason}; tried with ${tried} queue pairs: if it has another number, ask for that one`);
}

/** A refusal that another count may change. */
interface Refusal {
  readonly reason: string;
  /** How many queue pairs the peer has; 0 when it does not say. */
  readonly count: number;
}

/** One exchange with queue pairs of its own. Returns (not throws) the refusal of a peer that may want another count. */
async function attempt(options: OpenEndpointOptions, count: number): Promise<OpenedEndpoint | Refusal> {
  const { nic, peer, peerAddress, signal, timeoutMs, connectTimeoutMs } = options;
  const { localPath, remotePath } = pathsOf(options);
  const doing = `connecting ${localPath} with ${remotePath}`;
  const ownReads = Math.max(1, Math.min(nic.maxInitiatorReads, options.maxReads ?? nic.maxInitiatorReads));
  throwIfAborted(signal, doing);
  let endpoint: NativeEndpoint | undefined;
  let request: ConnectionMessage | undefined;
  let isWeightcast = peer.weightcast !== undefined;
  try {
    endpoint = await createUnheard(nic, count, options.sendDepth ?? ownReads + 4, `${localPath} -> ${remotePath}`);
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
    const refusal = checkReply(request, reply, options);
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
 * Returns the refusal when another count may help: a peer that says nothing may mean that, too.
 *
 * @throws WeightcastError `ERR_HANDSHAKE` for every other reply that is no acceptance.
 */
function checkReply(request: ConnectionMessage, reply: ConnectionMessage, options: OpenEndpointOptions): Refusal | undefined {
  const { localNicPath, peerNicPath, queuePairs, replyMessage } = reply;
  if (replyMessage !== '') {
    const reason = replyMessage.slice(0, 500);
    if (/QP count mismatch/i.test(replyMessage)) return { reason, count: 0 };
    throw refusedBy(options, reason);
  }
  if (queuePairs.length === 0) return { reason: withoutReason, count: 0 };
  if (localNicPath !== request.peerNicPath || peerNicPath !== request.localNicPath) {
    const answered = [localNicPath, peerNicPath].map((path) => JSON.stringify(path.slice(0, 200)));
    throw refusedBy(options, `it answered for ${answered.join(' and ')}`);
  }
  const count = queuePairs.length;
  if (count === request.queuePairs.length) return undefined;
  return { reason: `it has ${String(count)} queue pairs and not ${String(request.queuePairs.length)}`, count };
}

function refusedBy(options: OpenEndpointOptions, reason: string): WeightcastError {
  const { localPath, remotePath } = pathsOf(options);
  const { peerAddress: peer } = options;
  return new WeightcastError('ERR_HANDSHAKE', `${peer} rejected the connection ${localPath} -> ${remotePath}: ${reason}`, { peer });
}

function pathsOf(options: OpenEndpointOptions): { readonly localPath: string; readonly remotePath: string } {
  const { localName, nic, peer, remoteDevice } = options;
  return { localPath: `${localName}@${nic.device}`, remotePath: `${serverName(peer)}@${remoteDevice}` };
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
