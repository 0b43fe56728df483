/** What processes hold of the RDMA devices of this machine. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

const kinds = { queuePairs: 'qp', completionQueues: 'cq', protectionDomains: 'pd', memoryRegions: 'mr' } as const;

/** Of all devices together. */
export type RdmaHeld = Readonly<Record<keyof typeof kinds, number>>;

/** What all processes hold, and the kernel for itself. */
export function rdmaHeld(): RdmaHeld {
  const devices = listed() as readonly Readonly<Record<string, number>>[];
  return ofEachKind((kind) => devices.reduce((sum, device) => sum + (device[kind] ?? 0), 0));
}

/** What one process holds. Its threads that made it must still run: the kernel keeps no more than their ids. */
export function rdmaHeldBy(pid: number): RdmaHeld {
  const threads = new Set(readdirSync(`/proc/${String(pid)}/task`).map(Number));
  return ofEachKind((kind) => {
    const resources = listed(kind) as readonly { readonly pid?: number }[];
    return resources.filter((resource) => threads.has(resource.pid ?? 0)).length;
  });
}

/** Packets that Soft-RoCE devices have sent since they were made: what tells that a read is under way. */
export async function sentPackets(devices: readonly string[]): Promise<number> {
  const counts = devices.map((device) => readFile(`/sys/class/infiniband/${device}/ports/1/hw_counters/sent_pkts`, 'utf8'));
  return (await Promise.all(counts)).reduce((sum, text) => sum + Number(text), 0);
}

function ofEachKind(count: (kind: string) => number): RdmaHeld {
  return {
    queuePairs: count(kinds.queuePairs),
    completionQueues: count(kinds.completionQueues),
    protectionDomains: count(kinds.protectionDomains),
    memoryRegions: count(kinds.memoryRegions),
  };
}

function listed(...kind: string[]): unknown {
  return JSON.parse(execFileSync('rdma', ['-j', 'resource', 'show', ...kind], { encoding: 'utf8' }));
}
