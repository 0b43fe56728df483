/** Whether peers can still read from a seed: its ports have a link, and its listeners accept. */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Logger } from '../observe/logger.js';
import type { RailPort } from '../rails.js';
import { infinibandFolder } from './load/port-traffic.js';

export interface HealthOptions {
  /** RDMA ports in use. */
  readonly ports: readonly RailPort[];
  /** What must accept connections, by what it is for. */
  readonly listeners: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  readonly logger: Logger;
  /** Instead of {@link infinibandFolder}. */
  readonly folder?: string;
}

/** A listener that has not accepted by then does not. Milliseconds. */
const connectTimeoutMs = 1000;

/**
 * Returns what to ask before each heartbeat; it logs when its answer changes, with the reason. It costs a small file a port and a
 * connection a listener, and no call of the device. Never rejects.
 */
export function dataPlaneHealth(options: HealthOptions): () => Promise<boolean> {
  const { ports, listeners, logger, folder = infinibandFolder } = options;
  /** Ports whose state could be read before: where the kernel never showed it, nothing follows from that. */
  const shown = new Set<RailPort>();
  let wasHealthy = true;

  const troubleOfPort = async (rdma: RailPort): Promise<string | undefined> => {
    const { device, port } = rdma;
    const state = await readState(join(folder, device, 'ports', String(port), 'state'));
    if (state !== undefined) shown.add(rdma);
    if (state === undefined) return shown.has(rdma) ? `RDMA device ${device} is gone` : undefined;
    return state.includes('ACTIVE') ? undefined : `${device} port ${port} is ${state}`;
  };

  return async () => {
    const troubles = await Promise.all([
      ...ports.map(troubleOfPort),
      ...listeners.map(async ({ name, host, port }) => {
        const error = await whyNotAccepting(host, port);
        return error === undefined ? undefined : `${name} does not accept connections: ${error}`;
      }),
    ]);
    const reasons = troubles.filter((trouble) => trouble !== undefined);
    const healthy = reasons.length === 0;
    if (healthy && !wasHealthy) logger.info('the data plane works again');
    if (!healthy && wasHealthy) logger.warn('the data plane does not work; targets are told to go elsewhere', { reasons });
    wasHealthy = healthy;
    return healthy;
  };
}

/** `4: ACTIVE`, `1: DOWN`, `3: ARMED`, `5: ACTIVE_DEFER`. */
async function readState(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch {
    return undefined;
  }
}

/** The kernel accepts for a listener that is alive; one that has stopped taking connections fills its queue and accepts no more. */
function whyNotAccepting(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: connectTimeoutMs });
    const end = (reason: string | undefined): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.once('connect', () => end(undefined));
    socket.once('timeout', () => end(`no answer for ${connectTimeoutMs} ms`));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}
