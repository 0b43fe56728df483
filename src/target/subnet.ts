/** How much of a NIC's GID names its subnet. */
import { networkInterfaces } from 'node:os';

/** Of the GID of an IPv4 address, before the address itself. */
const mappedIpv4 = /^(?:00:){10}ff:ff:((?:[0-9a-f]{2}:){3}[0-9a-f]{2})$/i;
const bitsBeforeIpv4 = 96;
/** Where no interface of this process's network has the address: the lengths that are usual. */
const usualIpv4Bits = 24;
const usualBits = 64;

/**
 * Bits. Of an IPv4 address (RoCE) what its interface says, else /24; else 64, which InfiniBand prescribes and IPv6 assumes.
 * @param gid 16 hex pairs joined by `:`.
 */
export function subnetBits(gid: string, interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces()): number {
  const pairs = mappedIpv4.exec(gid)?.[1];
  if (pairs === undefined) return usualBits;
  const address = pairs
    .split(':')
    .map((pair) => Number.parseInt(pair, 16))
    .join('.');
  const own = Object.values(interfaces)
    .flatMap((entries) => entries ?? [])
    .find((entry) => entry.address === address);
  const bits = own?.cidr?.split('/')[1];
  return bitsBeforeIpv4 + (bits === undefined ? usualIpv4Bits : Number(bits));
}
