/** The segment descriptor of a seed: what peers read before they read weights. */
import { rdmaDescriptor, tcpDescriptor, type LocalSocket, type SegmentDescriptor } from '../handshake/index.js';
import { deviceName } from '../device/device.js';
import type { NativeNic } from '../native.js';
import { segmentDevices } from '../rails.js';
import type { Region } from '../region.js';

export interface Segment {
  /** The session id, `host:port`. */
  readonly name: string;
  /** Over which buffers are read; none: TCP only. */
  readonly nics: readonly NativeNic[];
  /** `remoteKeys`: one a NIC. `location`: {@link locationOf} it. */
  readonly buffers: readonly {
    readonly location: string;
    readonly address: bigint;
    readonly length: bigint;
    readonly remoteKeys: readonly number[];
  }[];
  /** 0: not served over TCP. */
  readonly tcpDataPort: number;
  /** The NICs that are nearest to a location, for peers to prefer; default all, everywhere. */
  readonly preferred?: ReadonlyMap<string, readonly string[]> | undefined;
  /** For processes of this host; `undefined`: not offered to them. */
  readonly local?: LocalSocket | undefined;
}

/** As Mooncake's peers name places, by which they choose among a seed's NICs. */
export function locationOf(region: Region | undefined): string {
  const device = region?.handle.device;
  return device === undefined ? 'cpu:0' : deviceName(device);
}

export function describeSegment({ name, nics, buffers, tcpDataPort, preferred, local }: Segment): SegmentDescriptor {
  if (nics.length === 0) {
    return { ...tcpDescriptor({ name, tcpDataPort, buffers }), timestamp: timestamp(), weightcast: { version: 1, local } };
  }
  const weightcast = { version: 1, ...(tcpDataPort > 0 && { tcpDataPort, tcpProtoVersion: 2 }), local };
  const located = buffers.map((buffer) => ({ ...buffer, readable: true }));
  const devices = segmentDevices(nics);
  return { ...rdmaDescriptor({ name, devices, buffers: located, weightcast, preferred }), timestamp: timestamp() };
}

/** Mooncake writes its own with microseconds. */
function timestamp(): string {
  return new Date().toISOString().replace('T', ' ').replace('Z', '000');
}
