/** An endpoint in a process of its own: `node server-process.js LIMITS [FILES TO LEAVE]`; ends with its parent. */
import { closeSync, openSync } from 'node:fs';
import { GrpcEndpoint } from '#src/rpc/endpoint.js';
import type { EndpointLimits } from '#src/rpc/endpoint-limits.js';
import { bytesService } from './support.js';

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

const endpoint = await GrpcEndpoint.open({
  address: { host: '0.0.0.0', port: 0 },
  services: [bytesService()],
  limits: JSON.parse(process.argv[2] ?? '{}') as Partial<EndpointLimits>,
  observer: {
    connectionOpened: () => void (opened += 1),
    connectionClosed: () => void (closed += 1),
    connectionRefused: count,
    callRefused: (_method, limit) => count(`call:${limit}`),
  },
  logger: { debug: line, info: line, warn: line, error: line },
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
