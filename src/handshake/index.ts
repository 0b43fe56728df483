/** Mooncake's handshake over TCP, both roles: segment descriptors and queue pair exchange. */
export { defaultHost, defaultPort, formatAddress, type HostPort, parseAddress } from './address.js';
export { descriptorLimit, exchangeConnection, fetchDescriptor, type FetchOptions, probe, sendNotify } from './client.js';
export {
  deviceIndex,
  type DevicePriority,
  encodeDescriptor,
  type EncodedDescriptor,
  type LocalSocket,
  preferredBytes,
  rdmaDescriptor,
  type SegmentBuffer,
  type SegmentDescriptor,
  type SegmentDevice,
  type SegmentExtras,
  type SegmentProtocol,
  serverName,
  tcpDescriptor,
  usableDevices,
} from './descriptor.js';
export { decodeDescriptor, type DecodeOptions } from './descriptor-decode.js';
export type { ExchangeOptions } from './exchange.js';
export { firstRow } from './first-row.js';
export { encodeFrame, type Frame, FrameReader, MessageType, peerReadLimit } from './frame.js';
export { openEndpoint, type OpenedEndpoint, type OpenEndpointOptions } from './initiator.js';
export { type JsonValue, parseJson, stringifyCompact } from './json.js';
export { type HandshakeHandlers, HandshakeListener, type ListenOptions } from './listener.js';
export type { ConnectionExtras, ConnectionMessage, NotifyMessage } from './messages.js';
export { Responder, type ResponderOptions } from './responder.js';
