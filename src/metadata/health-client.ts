/** Asking a gRPC server for its health, by `grpc.health.v1`. */
import { service as healthMethods } from 'grpc-health-check';
import { toWeightcastError } from '../errors.js';
import { formatAddress, parseTarget } from '../rpc/address.js';
import { type Method, RpcClient } from '../rpc/rpc-client.js';
import type { ClientSecurity } from '../security/tls-files.js';
import { defaultServerPort } from './client.js';

export type HealthStatus = 'UNKNOWN' | 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

export interface CheckHealthOptions {
  /** Full name; empty: the server as a whole. */
  readonly service: string;
  readonly timeoutMs: number;
  readonly security: ClientSecurity;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @param server as {@link parseTarget} takes it; the port defaults to 8001.
 * @throws ERR_SERVER_UNREACHABLE, ERR_TLS; ERR_SERVER when the server does not know the service, or health checks at all.
 */
export async function checkHealth(server: string, options: CheckHealthOptions): Promise<HealthStatus> {
  const { tls, ...address } = parseTarget(server, defaultServerPort);
  const { service, timeoutMs, security, signal } = options;
  const client = new RpcClient({
    address,
    timeoutMs,
    security: { ...security, tls: security.tls ?? (tls ? {} : undefined) },
    translate: (error, doing) => toWeightcastError(error, { doing, peer: formatAddress(address) }),
  });
  try {
    const check = healthMethods['Check'] as unknown as Method<{ service: string }, { status: HealthStatus }>;
    return (await client.unary(check, { service }, { doing: 'cannot check the health', signal })).status;
  } finally {
    client.close();
  }
}
