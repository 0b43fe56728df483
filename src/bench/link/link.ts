/** The links that a measurement went over, and what they could carry at most. */
import { WeightcastError } from '../../errors.js';
import { native, type NativeDevicePort } from '../../native.js';
import type { PullResult } from '../../target/index.js';
import { ceilingGBps, type Framing } from './ceiling.js';

/** One RDMA port on the measuring side. */
export interface Rail {
  readonly device: string;
  readonly provider: string;
  /** RDMA in software, as Soft-RoCE: not RDMA hardware. */
  readonly software: boolean;
  readonly framing: Framing;
  /** Bytes of payload in a packet. */
  readonly mtu: number;
  /** As the port says, 10^9 bits a second; null for software, whose port claims a rate that there is not. */
  readonly rateGbps: number | null;
}

export interface Link {
  readonly transport: 'rdma' | 'tcp';
  /** Why not RDMA; `''` when it was. */
  readonly transportReason: string;
  /** One rail or more is software: nothing here is a figure of RDMA hardware. */
  readonly software: boolean;
  readonly rails: readonly Rail[];
  /** Why no ceiling is claimed; `''` when one is. */
  readonly noCeiling: string;
}

/** @param result of a pull that went over the link. @param gidIndex as it was given to that pull. */
export async function linkOf(result: PullResult, gidIndex: number | undefined): Promise<Link> {
  const { transport, transportReason, software } = result;
  if (transport === 'tcp') {
    return {
      transport,
      transportReason,
      software: false,
      rails: [],
      noCeiling: 'TCP goes through the kernel, over links that are not known here',
    };
  }
  if (transport === 'local') throw new WeightcastError('ERR_INTERNAL', 'a bench seed offers no local transport, and yet it was used');
  const used = new Set(result.lanes.map((lane) => lane.localDevice));
  const ports = (await native().listDevices()).filter((port, index, all) => {
    const first = all.findIndex((other) => other.device === port.device && other.active) === index;
    return first && used.has(port.device);
  });
  const rails = ports.map((port) => railOf(port, gidIndex));
  return { transport, transportReason, software, rails, noCeiling: whyNoCeiling(rails) };
}

/** Of all rails together, for reads of `bytes`; null where none is claimed. */
export function ceilingOf(link: Link, bytes: number): number | null {
  if (link.noCeiling !== '') return null;
  return link.rails.reduce((sum, { rateGbps, mtu, framing }) => sum + ceilingGBps(rateGbps ?? 0, bytes, mtu, framing), 0);
}

export function railOf(port: NativeDevicePort, gidIndex: number | undefined): Rail {
  const { device, provider, software, activeMtu: mtu } = port;
  return {
    device,
    provider,
    software,
    framing: framingOf(port, gidIndex),
    mtu,
    rateGbps: software || port.rateGbps <= 0 ? null : port.rateGbps,
  };
}

function framingOf(port: NativeDevicePort, gidIndex = port.chosenGidIndex): Framing {
  if (port.linkLayer.toLowerCase() === 'infiniband') return 'InfiniBand';
  const gid = port.gids.find(({ index }) => index === gidIndex);
  if (gid !== undefined && gid.type !== '' && gid.type !== 'RoCE v2') return 'RoCE v1';
  // An IPv4 address stands behind ten bytes of 0 and two of 255.
  return gid === undefined || /^(00:){10}ff:ff:/i.test(gid.gid) ? 'RoCE v2, IPv4' : 'RoCE v2, IPv6';
}

function whyNoCeiling(rails: readonly Rail[]): string {
  const software = rails.filter((rail) => rail.software).map((rail) => rail.device);
  if (software.length > 0) return `${software.join(', ')}: RDMA in software has no rate of its own`;
  const unknown = rails.filter((rail) => rail.rateGbps === null).map((rail) => rail.device);
  if (rails.length === 0 || unknown.length > 0) return `the rate of ${unknown.join(', ') || 'the devices'} is not known`;
  return '';
}
