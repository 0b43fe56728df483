/** Host memory that reads land in first, where lanes cannot write into an accelerator's memory. */
import type { HostMemory } from '../locality.js';
import type { Region } from '../region.js';
import type { Connection } from './connection.js';
import type { Scope } from './scope.js';

/**
 * Slots that each lane has. Of RDMA as many as a queue pair's usual reads in flight, and as many again of which half are being copied on;
 * the others read one slice after the other, or two.
 */
const slotsOf: Readonly<Record<Connection['transport'], number>> = { rdma: 32, tcp: 4, local: 4 };

/** A slot must be filled before it can be copied on: larger ones only make the first and the last copy longer. Bytes. */
const largestSlot = 8 << 20;

export interface Staging {
  readonly region: Region;
  /** Largest slice that fits into a slot, bytes. */
  readonly slotBytes: number;
}

/** @param slice - what would be read at a time without staging, bytes. */
export async function openStaging(
  transport: Connection['transport'],
  lanes: number,
  slice: number,
  memory: HostMemory,
  scope: Scope,
): Promise<Staging> {
  const slotBytes = Math.min(slice, largestSlot);
  const region = await memory.allocate(BigInt(lanes * slotsOf[transport] * slotBytes));
  scope.add(() => {
    region.close();
  });
  return { region, slotBytes };
}
