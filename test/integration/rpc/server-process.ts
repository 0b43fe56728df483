/** A metadata server's endpoint, with the service of bytes beside its own, in a process of its own: `node server-process.js OPTIONS [FILES TO LEAVE]`, with {@link ServerOptions} as JSON; ends with its parent. */
import { closeSync, openSync } from 'node:fs';
import type { ServerInterceptor } from '@grpc/grpc-js';
import { createP2pService, p2pServiceDefinition } from '#src/metadata/server/p2p-service.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { silentLogger } from '#src/observe/logger.js';
import { GrpcEndpoint, service } from '#src/rpc/endpoint.js';
import type { EndpointLimits } from '#src/rpc/endpoint-limits.js';
import { authenticating } from '#src/rpc/interceptors/authenticate.js';
import { TokenList } from '#src/security/token-list.js';
import { serverTls, tokenFile } from './secure-side.js';
import { bytesService } from './support.js';

export interface ServerOptions {
  readonly limits?: Partial<EndpointLimits>;
  /** A folder of `makeSecureSide`: mutual TLS, and a token. */
  readonly secure?: string | undefined;
}

export interface Figures {
  readonly refusals: Record<string, number>;
  readonly opened: number;
  readonly closed: number;
  readonly connections: number;
  readonly rssMiB: number;
  readonly cpuMs: number;
  readonly lines: number;
}

const refusals: Record<string, number> = {};
const count = (key: string): void => {
  refusals[key] = (refusals[key] ?? 0) + 1;
};
let opened = 0;
let closed = 0;
let lines = 0;
const line = (): void => void (lines += 1);

const { limits, secure } = JSON.parse(process.argv[2] ?? '{}') as ServerOptions;
const logger = { debug: line, info: line, warn: line, error: line };
const guards = (at: string): ServerInterceptor[] => [
  authenticating({ authenticator: TokenList.open(tokenFile(at), logger), onRefused: (_path, why) => count(`call:${why}`) }),
];

const p2p = createP2pService({ store: new MemoryStore(), clock: Date.now, heartbeatTimeoutMs: 90_000, logger: silentLogger });
const endpoint = await GrpcEndpoint.open({
  address: { host: '0.0.0.0', port: 0 },
  services: [bytesService(), service(p2pServiceDefinition, p2p)],
  limits,
  ...(secure === undefined ? {} : { tls: serverTls(secure), interceptors: guards(secure) }),
  observer: {
    connectionOpened: () => void (opened += 1),
    connectionClosed: () => void (closed += 1),
    connectionRefused: count,
    callRefused: (_method, limit) => count(`call:${limit}`),
  },
  logger,
});

/** Opens all files that the system allows, and closes as many again. */
function leaveFiles(count: number): void {
  const files: number[] = [];
  try {
    for (;;) files.push(openSync('/dev/null', 'r'));
  } catch {
    for (const file of files.slice(-count)) closeSync(file);
  }
}

const filesToLeave = process.argv[3];
if (filesToLeave !== undefined) leaveFiles(Number(filesToLeave));

process.on('message', () => {
  const { user, system } = process.cpuUsage();
  const rssMiB = Math.round(process.memoryUsage.rss() / 2 ** 20);
  const cpuMs = Math.round((user + system) / 1000);
  const figures: Figures = { refusals, opened, closed, connections: endpoint.connections, rssMiB, cpuMs, lines };
  process.send?.(figures);
});
process.on('disconnect', () => process.exit(0));
process.send?.(endpoint.port);
