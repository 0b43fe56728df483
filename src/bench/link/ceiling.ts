/**
 * What the wire itself leaves of a link's rate: headers are bytes too. Exact for the packets that answer an RDMA READ; how
 * much of that a NIC, a PCIe slot or a switch can carry is not in it.
 */

/** How packets travel: which headers they have. */
export type Framing = 'RoCE v2, IPv4' | 'RoCE v2, IPv6' | 'RoCE v1' | 'InfiniBand';

/** Bytes around the payload of one packet, an AETH excepted. */
const overhead: Readonly<Record<Framing, number>> = {
  // Preamble 8, Ethernet 14, IP 20, UDP 8, BTH 12, ICRC 4, FCS 4, gap between frames 12.
  'RoCE v2, IPv4': 82,
  'RoCE v2, IPv6': 102,
  // The GRH of 40 bytes in the place of IP and UDP.
  'RoCE v1': 94,
  // LRH 8, BTH 12, ICRC 4, VCRC 2; within one subnet there is no GRH.
  InfiniBand: 26,
};

/** The acknowledgement header of the first and of the last packet of an answer, or of the only one. */
const aeth = 4;

/** Bytes on the wire that answer one READ of `bytes`. @param mtu payload of a packet, bytes. */
export function wireBytes(bytes: number, mtu: number, framing: Framing): number {
  const packets = Math.max(1, Math.ceil(bytes / mtu));
  // A payload is filled up to four bytes.
  const padding = (4 - (bytes % 4)) % 4;
  return bytes + padding + packets * overhead[framing] + Math.min(packets, 2) * aeth;
}

/** The share of a link's rate that is payload: 0.98 for 1 MiB in packets of 4096 bytes over RoCE v2. */
export function efficiency(bytes: number, mtu: number, framing: Framing): number {
  return bytes / wireBytes(bytes, mtu, framing);
}

/** 10^9 bytes of payload a second at most. @param rateGbps of the link, 10^9 bits a second. */
export function ceilingGBps(rateGbps: number, bytes: number, mtu: number, framing: Framing): number {
  return (rateGbps / 8) * efficiency(bytes, mtu, framing);
}
