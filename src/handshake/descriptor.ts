/** What a process offers for reading: Mooncake's segment descriptor, its JSON form, and how a reader picks devices. */
import { WeightcastError } from '../errors.js';
import { peerReadLimit } from './frame.js';
import { type JsonObject, type JsonValue, stringifyCompact } from './json.js';

export type SegmentProtocol = 'rdma' | 'tcp';

/** One RDMA device of the publisher. Its place in the list is the index of its keys. */
export interface SegmentDevice {
  readonly name: string;
  /** 16 hex pairs joined by `:`. */
  readonly gid: string;
  /** 0 on RoCE. */
  readonly lid: number;
}

/** One range that is registered at every device. */
export interface SegmentBuffer {
  /** Where the memory is (`cpu:0`, `cuda:1`, `*`): a key of the priority matrix, not an identifier. Any string on tcp. */
  readonly location: string;
  /** Virtual address at the publisher, > 0. */
  readonly address: bigint;
  /** Bytes, > 0. */
  readonly length: bigint;
  /** One a device, in device order; empty on tcp, and on rdma when the buffer may not be read. */
  readonly remoteKeys: readonly number[];
  /** As many as `remoteKeys`; nobody uses another's. Written as zeros when absent. */
  readonly localKeys?: readonly number[] | undefined;
  /** False when the publisher gave no keys, or only zeros: known, but not to be read. Ignored by the encoder. */
  readonly readable: boolean;
}

/** Which devices suit a location. */
export interface DevicePriority {
  readonly preferred: readonly string[];
  readonly others: readonly string[];
}

/** Where processes of the seed's own host ask for its bytes. */
export interface LocalSocket {
  /** In the abstract namespace of Unix domain sockets. */
  readonly name: string;
  /** 64 hexadecimal digits, by which both ends know each other. */
  readonly token: string;
}

/** What Weightcast seeds add, under the key `weightcast`. */
export interface SegmentExtras {
  readonly version: number;
  /** Port of Mooncake's TCP transport over the same buffers; `undefined` when not served. */
  readonly tcpDataPort?: number | undefined;
  /** 1 or 2; `undefined` with no port. */
  readonly tcpProtoVersion?: number | undefined;
  /** `undefined` when not offered. */
  readonly local?: LocalSocket | undefined;
}

export interface SegmentDescriptor {
  /** The `host:port` that peers open: the head of NIC paths unless `rdmaServerName` says otherwise. */
  readonly name: string;
  readonly protocol: SegmentProtocol;
  /** Port of the TCP transport; 0 on rdma. */
  readonly tcpDataPort: number;
  /** Where that port is, when it is not at `name`'s host (Mooncake 0.3.13). */
  readonly tcpDataHost?: string | undefined;
  /** 2 when the TCP transport answers requests of version 2 with a status. */
  readonly tcpProtoVersion: number;
  /** Informational, `YYYY-MM-DD HH:MM:SS.uuuuuu`. */
  readonly timestamp?: string | undefined;
  /** Replaces `name` in NIC paths; connections still go to the opened address. */
  readonly rdmaServerName?: string | undefined;
  readonly devices: readonly SegmentDevice[];
  readonly buffers: readonly SegmentBuffer[];
  /** Location → devices. A device that is in no row is out of service. */
  readonly priorityMatrix: ReadonlyMap<string, DevicePriority>;
  readonly weightcast?: SegmentExtras | undefined;
}

/** A descriptor as text. */
export interface EncodedDescriptor {
  readonly json: string;
  /** What the frame's length will say: type byte, JSON, line feed. */
  readonly frameBytes: number;
  /** Mooncake readers refuse more than 1 MiB by default: the caller logs a warning with the size and the buffer count. */
  readonly exceedsPeerLimit: boolean;
}

/**
 * The compact JSON of a descriptor, without the line feed.
 *
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` when a buffer's keys are not one a device: readers would reject it all.
 */
export function encodeDescriptor(descriptor: SegmentDescriptor): EncodedDescriptor {
  const json = stringifyCompact(descriptor.protocol === 'rdma' ? rdmaObject(descriptor) : tcpObject(descriptor));
  const frameBytes = json.length + 2;
  return { json, frameBytes, exceedsPeerLimit: frameBytes > peerReadLimit };
}

function commonObject(descriptor: SegmentDescriptor): JsonObject {
  const { weightcast } = descriptor;
  return {
    name: descriptor.name,
    protocol: descriptor.protocol,
    tcp_data_port: descriptor.tcpDataPort,
    ...(descriptor.tcpDataHost === undefined ? {} : { tcp_data_host: descriptor.tcpDataHost }),
    tcp_proto_version: descriptor.tcpProtoVersion,
    ...(descriptor.timestamp === undefined ? {} : { timestamp: descriptor.timestamp }),
    ...(descriptor.rdmaServerName === undefined ? {} : { rdma_server_name: descriptor.rdmaServerName }),
    ...(weightcast === undefined ? {} : { weightcast: extrasObject(weightcast) }),
  };
}

function extrasObject(extras: SegmentExtras): JsonObject {
  return {
    version: extras.version,
    ...(extras.tcpDataPort === undefined ? {} : { tcp_data_port: extras.tcpDataPort }),
    ...(extras.tcpProtoVersion === undefined ? {} : { tcp_proto_version: extras.tcpProtoVersion }),
    ...(extras.local === undefined ? {} : { local: { socket: extras.local.name, token: extras.local.token } }),
  };
}

function rdmaObject(descriptor: SegmentDescriptor): JsonObject {
  const matrix = [...descriptor.priorityMatrix].map(([location, row]): [string, JsonValue] => [
    location,
    [[...row.preferred], [...row.others]],
  ]);
  const count = descriptor.devices.length;
  return {
    ...commonObject(descriptor),
    devices: descriptor.devices.map(({ name, gid, lid }) => ({ name, gid, lid })),
    priority_matrix: Object.fromEntries(matrix),
    buffers: descriptor.buffers.map((buffer, index) => {
      const rkey = [...buffer.remoteKeys];
      const lkey = buffer.localKeys === undefined ? rkey.map(() => 0) : [...buffer.localKeys];
      if ((rkey.length !== 0 && rkey.length !== count) || lkey.length !== rkey.length) {
        throw new WeightcastError(
          'ERR_INVALID_ARGUMENT',
          `Expected ${String(count)} keys (one a device) for buffer ${String(index)} but received ${String(rkey.length)} remote and ${String(lkey.length)} local`,
        );
      }
      return { name: buffer.location, addr: buffer.address, length: buffer.length, rkey, lkey };
    }),
  };
}

function tcpObject(descriptor: SegmentDescriptor): JsonObject {
  return {
    ...commonObject(descriptor),
    buffers: descriptor.buffers.map(({ location, address, length }) => ({ name: location, addr: address, length })),
  };
}

/** The index of a device's keys in `remoteKeys`; -1 when the publisher has no such device. */
export function deviceIndex(descriptor: SegmentDescriptor, device: string): number {
  return descriptor.devices.findIndex(({ name }) => name === device);
}

/**
 * Names of the devices that are in service, in the publisher's order: those that also stand in the priority matrix and have a
 * key of every buffer. Mooncake keeps a device that did not open as a placeholder with keys of 0.
 */
export function usableDevices(descriptor: SegmentDescriptor): string[] {
  const listed = new Set<string>();
  for (const row of descriptor.priorityMatrix.values()) for (const name of [...row.preferred, ...row.others]) listed.add(name);
  const readable = descriptor.buffers.filter((buffer) => buffer.readable);
  return descriptor.devices
    .filter(({ name }, index) => listed.has(name) && readable.every((buffer) => buffer.remoteKeys[index] !== 0))
    .map(({ name }) => name);
}

/**
 * By device, how many readable bytes lie in places for which the publisher prefers it; none for a device that is preferred nowhere. Bytes
 * of places that the matrix does not know (and that has no row `*`) count for none.
 */
export function preferredBytes({ buffers, priorityMatrix }: SegmentDescriptor): ReadonlyMap<string, bigint> {
  // By row first: a stranger may name more places than there are rows.
  const byRow = new Map<DevicePriority, bigint>();
  for (const { location, length, readable } of buffers) {
    const row = priorityMatrix.get(location) ?? priorityMatrix.get('*');
    if (readable && row !== undefined) byRow.set(row, (byRow.get(row) ?? 0n) + length);
  }
  const byDevice = new Map<string, bigint>();
  for (const [row, bytes] of byRow) for (const name of new Set(row.preferred)) byDevice.set(name, (byDevice.get(name) ?? 0n) + bytes);
  return byDevice;
}

/** The part of a NIC path before the `@`. */
export function serverName(descriptor: SegmentDescriptor): string {
  return descriptor.rdmaServerName ?? descriptor.name;
}

/**
 * A descriptor of our own for RDMA. The matrix has a row for each location of a buffer. All rows list all devices, in order where
 * `preferred` does not say otherwise: see {@link firstRow} for the order that `devices` must then have. Without buffers it is what a target sends and serves on
 * call-back.
 */
export function rdmaDescriptor(options: {
  readonly name: string;
  readonly devices: readonly SegmentDevice[];
  readonly buffers?: readonly SegmentBuffer[];
  readonly weightcast?: SegmentExtras | undefined;
  /** Names of the devices that are nearest to a location; all where it has none. */
  readonly preferred?: ReadonlyMap<string, readonly string[]> | undefined;
}): SegmentDescriptor {
  const { buffers = [] } = options;
  const names = options.devices.map(({ name }) => name);
  const row = (location: string): DevicePriority => {
    const nearest = options.preferred?.get(location) ?? names;
    return { preferred: names.filter((name) => nearest.includes(name)), others: names.filter((name) => !nearest.includes(name)) };
  };
  const locations = new Set(buffers.length === 0 ? ['cpu:0'] : buffers.map(({ location }) => location));
  return {
    name: options.name,
    protocol: 'rdma',
    tcpDataPort: 0,
    tcpProtoVersion: 1,
    devices: options.devices.map(({ name, gid, lid }) => ({ name, gid, lid })),
    buffers,
    priorityMatrix: new Map([...locations].map((location) => [location, row(location)])),
    weightcast: options.weightcast,
  };
}

/** A descriptor of our own for the TCP transport; port 0 and no buffers for a target. */
export function tcpDescriptor(options: {
  readonly name: string;
  readonly tcpDataPort?: number;
  readonly buffers?: readonly { readonly address: bigint; readonly length: bigint }[];
}): SegmentDescriptor {
  return {
    name: options.name,
    protocol: 'tcp',
    tcpDataPort: options.tcpDataPort ?? 0,
    tcpProtoVersion: 2,
    devices: [],
    buffers: (options.buffers ?? []).map(({ address, length }) => ({
      location: options.name,
      address,
      length,
      remoteKeys: [],
      readable: true,
    })),
    priorityMatrix: new Map(),
  };
}
