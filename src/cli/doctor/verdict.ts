/** The last line of `doctor`: which transport `auto` takes here, and why it is not RDMA when it is not. */
import type { NativeLimits } from '../../native.js';
import { formatBytes } from '../format.js';
import type { RdmaCheck } from './rdma-check.js';
import type { TcpCheck } from './tcp-check.js';

export interface Verdict {
  readonly transport: 'rdma' | 'tcp' | 'none';
  readonly devices: readonly string[];
  /** Only software devices: the numbers are not those of RDMA hardware. */
  readonly software: boolean;
  /** Why not RDMA; `''` when it is RDMA. */
  readonly reason: string;
  /** What will hurt all the same. */
  readonly warnings: readonly string[];
}

export interface VerdictFacts {
  /** Why the addon cannot be loaded; `''` when it is. */
  readonly addonReason: string;
  readonly rdma: RdmaCheck | undefined;
  readonly tcp: TcpCheck | undefined;
  readonly limits: NativeLimits | undefined;
}

export function verdictOf({ addonReason, rdma, tcp, limits }: VerdictFacts): Verdict {
  const none = { devices: [], software: false, warnings: [] };
  if (rdma === undefined || tcp === undefined) return { ...none, transport: 'none', reason: addonReason };
  if (rdma.devices.length > 0) {
    const software = rdma.devices.every((device) => rdma.softwareDevices.includes(device));
    return { transport: 'rdma', devices: rdma.devices, software, reason: '', warnings: memlockWarnings(limits) };
  }
  if (tcp.ok) return { ...none, transport: 'tcp', reason: rdma.reason };
  return { ...none, transport: 'none', reason: `${rdma.reason}; and TCP does not work: ${tcp.reason}` };
}

function memlockWarnings(limits: NativeLimits | undefined): string[] {
  if (limits?.memlockSoft === undefined || limits.ipcLock) return [];
  return [
    `only ${formatBytes(limits.memlockSoft)} may be pinned (ulimit -l): larger models go over TCP with "auto" and fail with ERR_MEMLOCK_LIMIT with "rdma"`,
  ];
}

export function verdictText({ transport, devices, software, reason }: Verdict): string {
  switch (transport) {
    case 'rdma':
      return `auto uses rdma over ${devices.join(', ')}${software ? ' (software RDMA: works as RDMA does, but not at the speed of hardware)' : ''}, with peers that have it too`;
    case 'tcp':
      return `auto uses tcp; not rdma: ${reason}`;
    case 'none':
      return `nothing can be transferred here: ${reason}`;
  }
}
