/** The asking side: descriptors, queue pair exchange, probe and notification. */
import { toWeightcastError, WeightcastError } from '../errors.js';
import { encodeDescriptor, type SegmentDescriptor, type SegmentProtocol } from './descriptor.js';
import { decodeDescriptor, decodeOwner, type SegmentOwner } from './descriptor-decode.js';
import { exchange, type ExchangeOptions } from './exchange.js';
import { MessageType, metadataRequestLimit, parseFrame, peerReadLimit } from './frame.js';
import type { JsonValue } from './json.js';
import {
  type ConnectionMessage,
  decodeConnection,
  decodeNotify,
  encodeConnection,
  encodeNotify,
  type NotifyMessage,
  probeRequest,
} from './messages.js';

/** Bytes of a descriptor that we accept from a peer that we chose: the most that Mooncake can be set to. */
export const descriptorLimit = 128 * 1024 * 1024;

export interface FetchOptions extends ExchangeOptions {
  /** Which transport to take of a peer that offers several in one descriptor. Default `rdma`. */
  readonly prefer?: SegmentProtocol | undefined;
}

/**
 * Asks a process that connected to us for its name and devices. It chose the address, so it gets no more room than in a
 * request of its own.
 *
 * @throws WeightcastError `ERR_PROTOCOL` (`null` included), and as {@link exchange}.
 */
export async function fetchOwner(address: string, own: SegmentDescriptor, options: ExchangeOptions = {}): Promise<SegmentOwner> {
  const request = { type: MessageType.metadata, json: encodeDescriptor(own).json, doing: 'fetching the devices of' };
  return decodeOwner(await ask(address, request, metadataRequestLimit, options), address);
}

/**
 * Asks the process at `sessionId` (`host:port`) what it offers. `own` travels in the request, so that an old peer may learn
 * our GIDs: a descriptor without buffers is enough.
 *
 * @throws WeightcastError `ERR_HANDSHAKE` when the peer offers nothing yet; `ERR_PROTOCOL` naming the field that is wrong;
 * `ERR_TRANSPORT_UNAVAILABLE` for a protocol other than rdma and tcp; and as {@link exchange}.
 */
export async function fetchDescriptor(sessionId: string, own: SegmentDescriptor, options: FetchOptions = {}): Promise<SegmentDescriptor> {
  const request = { type: MessageType.metadata, json: encodeDescriptor(own).json, doing: 'fetching the segment descriptor of' };
  const value = await ask(sessionId, request, descriptorLimit, options);
  if (value === null) {
    throw new WeightcastError('ERR_HANDSHAKE', `${sessionId} has no segment to offer yet; it is still starting: try again`, {
      peer: sessionId,
    });
  }
  return decodeDescriptor(value, { peer: sessionId, prefer: options.prefer });
}

/**
 * Sends a Connection message and returns the reply, which is a rejection when `replyMessage` is not empty, or everything is:
 * old peers reject with `null`, which reads as a message of empty fields.
 *
 * @throws WeightcastError `ERR_PROTOCOL` naming the field that is wrong; and as {@link exchange}.
 */
export async function exchangeConnection(
  address: string,
  message: ConnectionMessage,
  options: ExchangeOptions = {},
): Promise<ConnectionMessage> {
  const request = { type: MessageType.connection, json: encodeConnection(message), doing: 'connecting queue pairs with' };
  return decodeConnection((await ask(address, request, peerReadLimit, options)) ?? {}, address);
}

/** Resolves when a process at `address` answers Probe messages. Peers before Mooncake 0.3.10.post2 close instead: `ERR_PEER_LOST`. */
export async function probe(address: string, options: ExchangeOptions = {}): Promise<void> {
  await ask(address, { type: MessageType.probe, json: probeRequest, doing: 'probing' }, peerReadLimit, options);
}

/** Delivers a notification. @throws WeightcastError `ERR_HANDSHAKE` when the peer does not take it; and as {@link exchange}. */
export async function sendNotify(address: string, message: NotifyMessage, options: ExchangeOptions = {}): Promise<void> {
  const request = { type: MessageType.notify, json: encodeNotify(message), doing: 'notifying' };
  const value = await ask(address, request, peerReadLimit, options);
  if (value === null || decodeNotify(value, address).message === '') {
    throw new WeightcastError('ERR_HANDSHAKE', `${address} did not take the notification ${JSON.stringify(message.name)}`, {
      peer: address,
    });
  }
}

async function ask(
  address: string,
  request: { readonly type: number; readonly json: string; readonly doing: string },
  replyLimit: number,
  options: ExchangeOptions,
): Promise<JsonValue> {
  const reply = await exchange(address, request, replyLimit, options);
  try {
    return parseFrame(reply);
  } catch (error) {
    const { code, message } = toWeightcastError(error);
    throw new WeightcastError(code, `${request.doing} ${address}: ${message}`, { cause: error, peer: address });
  }
}
