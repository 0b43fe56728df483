/** `host:port` texts. */
import { WeightcastError } from '../errors.js';

export interface Address {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * Parses `host:port`, `host`, `[v6]:port` and `[v6]`; a leading `http://` and a trailing slash are dropped.
 *
 * @param defaultPort where the text has none.
 * @throws ERR_INVALID_ARGUMENT for anything else, `https://` included: TLS is not spoken, and to go on in clear text
 * would not be what was asked for.
 */
export function parseAddress(text: string, defaultPort: number): Address {
  if (/^https:/i.test(text)) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `Expected a plain host:port but received ${text}: TLS is not supported`);
  }
  const match = /^(?:http:\/\/)?(?:\[([0-9a-fA-F:.]+(?:%[^\]\s/]+)?)\]|([^\s:/[\]]+))(?::(\d{1,5}))?\/?$/i.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port > 65535) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `Expected an address of the form host:port but received '${text}'`);
  }
  return { host, port };
}

/** The text that gRPC and URLs take; IPv6 in brackets. */
export function formatAddress({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}
