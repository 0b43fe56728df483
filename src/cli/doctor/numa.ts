/** What `doctor` finds of NUMA: the nodes, which RDMA devices are on them, and what follows. */
import { toWeightcastError } from '../../errors.js';
import { Locality } from '../../locality.js';
import type { NativeLocality } from '../../native.js';

export interface NumaReport extends NativeLocality {
  /** Why it is not known what follows; `''` when it is. */
  readonly reason: string;
}

export async function checkNuma(ports: readonly string[]): Promise<NumaReport> {
  const devices = [...new Set(ports)];
  try {
    return { ...(await Locality.of(devices)).decisions, reason: '' };
  } catch (error) {
    return { nodes: [], nics: [], reason: toWeightcastError(error).message };
  }
}

/** One row of one node: nothing is to be decided there. */
export function numaRows({ nodes, nics, reason }: NumaReport): string[][] {
  if (reason !== '') return [['NUMA', `not known: ${reason}`]];
  if (nodes.length < 2) return [['NUMA', 'one node: all memory is near']];
  const nodeText = ({ node, processors, memory }: NumaReport['nodes'][number]): string =>
    `node ${String(node)}: ${processors === '' ? 'no processors' : `processors ${processors}`}${memory ? '' : ', no memory'}`;
  return [
    ['NUMA', nodes.map(nodeText).join('; ')],
    ...nics.map(({ device, node, processors, threadsReason, memoryReason }) => [
      `  ${device}`,
      [
        `on ${node < 0 ? 'an unknown node' : `node ${String(node)}`}`,
        memoryReason === '' ? `memory for it goes to node ${String(node)}` : `memory for it goes anywhere (${memoryReason})`,
        processors === '' ? `threads anywhere (${threadsReason})` : `threads on processors ${processors}`,
      ].join('; '),
    ]),
  ];
}
