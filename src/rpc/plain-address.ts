/** One spelling for each address of a peer. */

/** Without the zone of a link-local address; IPv4 that came in over an IPv6 socket as plain IPv4. */
export function plainAddress(address: string): string {
  const zone = address.indexOf('%');
  const plain = zone === -1 ? address : address.slice(0, zone);
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(plain) ? plain.slice('::ffff:'.length) : plain;
}

/** Whether only this host reaches it. */
export function isLoopback(host: string): boolean {
  const plain = plainAddress(host);
  return plain === 'localhost' || plain === '::1' || plain.startsWith('127.');
}
