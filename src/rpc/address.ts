/** `host:port` texts. */
import { WeightcastError } from '../errors.js';

export interface Address {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** An address to call, and whether its text asked for TLS. */
export interface Target extends Address {
  /** `https://` stood before it. */
  readonly tls: boolean;
}

/**
 * An address to listen on: `host:port`, `host`, `[v6]:port` or `[v6]`; a leading `http://` and a trailing slash are dropped.
 *
 * @param defaultPort where the text has none.
 * @throws ERR_INVALID_ARGUMENT for anything else, `https://` included: what makes a listener speak TLS is a certificate.
 */
export function parseAddress(text: string, defaultPort: number): Address {
  if (/^https:/i.test(text)) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `Expected a plain host:port but received ${text}: TLS needs certificate files`);
  }
  const match = /^(?:http:\/\/)?(?:\[([0-9a-fA-F:.]+(?:%[^\]\s/]+)?)\]|([^\s:/[\]]+))(?::(\d{1,5}))?\/?$/i.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port > 65535) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `Expected an address of the form host:port but received '${text}'`);
  }
  return { host, port };
}

/** An address to call: as {@link parseAddress} takes them, or with `https://`, which means TLS. @throws ERR_INVALID_ARGUMENT */
export function parseTarget(text: string, defaultPort: number): Target {
  const tls = /^https:\/\/(?!https?:)/i.test(text);
  return { ...parseAddress(tls ? text.slice('https://'.length) : text, defaultPort), tls };
}

/** The text that gRPC and URLs take; IPv6 in brackets. */
export function formatAddress({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}
