/** What an endpoint tells of its connections and refusals, for metrics. */

/**
 * Why a connection was not served, or not any longer: too many of its client (`per_client`) or of all (`total`), opened too
 * fast (`rate`), of a client that went on though its calls were refused (`shut_out`), no greeting in time
 * (`handshake_timeout`), a TLS handshake that failed (`tls`), a client certificate that is missing or not trusted
 * (`certificate`), something that is not gRPC (`protocol`), much traffic without calls (`flood`), no file descriptor left (`files`).
 */
export type ConnectionRefusal =
  'per_client' | 'total' | 'rate' | 'shut_out' | 'handshake_timeout' | 'tls' | 'certificate' | 'protocol' | 'flood' | 'files';

/** Which limit refused a call. */
export type CallLimit = 'rate' | 'concurrency' | 'size' | 'receive_timeout';

/** Methods must not throw, and should be quick: they are called where the event happens. */
export interface EndpointObserver {
  /** A connection was let in; `connectionClosed` follows for each, `connectionRefused` before it when it did not end well. */
  connectionOpened(): void;
  connectionClosed(): void;
  connectionRefused(reason: ConnectionRefusal): void;
  /** `method` is the path, `/package.Service/Method`. */
  callRefused(method: string, limit: CallLimit): void;
}

const nothing = (): void => undefined;

export const silentObserver: EndpointObserver = {
  connectionOpened: nothing,
  connectionClosed: nothing,
  connectionRefused: nothing,
  callRefused: nothing,
};
