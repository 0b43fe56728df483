/** Handshake addresses: `host:port` strings that are a peer's name and the place to connect to at once. */
import { createSocket } from 'node:dgram';
import { isIP, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { WeightcastError } from '../errors.js';

/** The port of a name that has none. */
export const defaultPort = 12001;

/** Where to connect. */
export interface HostPort {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * Splits `host:port`, `[v6]:port`, `v6%scope:port`, or any of them without a port, which means {@link defaultPort}. An
 * unbracketed IPv6 address without scope has no port. A leading `/` is dropped, as Mooncake does.
 *
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` for an empty host or a port outside of 1 to 65535.
 */
export function parseAddress(text: string): HostPort {
  const address = text.replace(/^\/+/, '');
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(address);
  if (bracketed !== null) return checked(text, bracketed[1] ?? '', bracketed[2]);
  const colon = address.lastIndexOf(':');
  const scope = address.indexOf('%');
  if (scope >= 0 && colon > scope) return checked(text, address.slice(0, colon), address.slice(colon + 1));
  if (colon < 0 || isIPv6(address)) return checked(text, address, undefined);
  return checked(text, address.slice(0, colon), address.slice(colon + 1));
}

function checked(text: string, host: string, port: string | undefined): HostPort {
  const number = port === undefined ? defaultPort : /^\d{1,5}$/.test(port) ? Number(port) : NaN;
  if (host === '' || /[[\]\s/]/.test(host) || !(number >= 1 && number <= 65535)) {
    throw new WeightcastError(
      'ERR_INVALID_ARGUMENT',
      `Expected host:port with a port from 1 to 65535 but received ${JSON.stringify(text)}`,
    );
  }
  return { host, port: number };
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatAddress(host: string, port: number): string {
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  return bare.includes(':') ? `[${bare}]:${String(port)}` : `${bare}:${String(port)}`;
}

/**
 * The address of this host that peers reach: `WEIGHTCAST_HOST`; else the one from which packets to the internet would
 * leave; else the first non-internal IPv4 address; else 127.0.0.1. Sends nothing.
 */
export async function defaultHost(environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const chosen = environment['WEIGHTCAST_HOST'];
  if (chosen !== undefined && chosen !== '') return chosen;
  const source = await routeSource();
  if (source !== undefined && !source.startsWith('127.')) return source;
  for (const addresses of Object.values(networkInterfaces())) {
    for (const entry of addresses ?? []) if (!entry.internal && entry.family === 'IPv4') return entry.address;
  }
  return '127.0.0.1';
}

/** "Connecting" a UDP socket only asks the routing table. `undefined` when there is no route. */
function routeSource(): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const finish = (address: string | undefined): void => {
      socket.close();
      resolve(address);
    };
    socket.once('error', () => {
      finish(undefined);
    });
    socket.once('connect', () => {
      const { address } = socket.address();
      finish(isIP(address) === 4 && address !== '0.0.0.0' ? address : undefined);
    });
    socket.connect(80, '8.8.8.8');
  });
}
