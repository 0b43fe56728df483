/** What a seed sends over TCP, and whether the kernel copies it. */
import { WeightcastError } from '../errors.js';
import type { NativeTcpServerCounters } from '../native.js';

/** When large answers are sent out of the weights' own memory, without the kernel's copy. See {@link SeedOptions.zeroCopy}. */
export type ZeroCopyChoice = (typeof zeroCopyChoices)[number];

export const zeroCopyChoices = ['auto', 'never', 'always'] as const;

/** Since the seed is up, over all connections. */
export interface TcpServed {
  readonly connections: number;
  /** Answered with bytes. */
  readonly requests: number;
  /** Requests for what is not on offer. */
  readonly rejected: number;
  /** All that were handed to the kernel. */
  readonly bytes: bigint;
  /** Those that the kernel says it has sent out of the weights' own memory. It copied the rest, or has not said yet. */
  readonly zeroCopyBytes: bigint;
  /** Connections that send plainly for good, since the kernel copied although it was asked not to, or cannot do without. */
  readonly zeroCopyRefused: number;
  /** Pieces sent plainly since a limit was met: `net.core.optmem_max`, or RLIMIT_MEMLOCK. */
  readonly zeroCopyCrowded: number;
}

export function tcpServed(counters: NativeTcpServerCounters): TcpServed {
  const { bytes, zeroCopyBytes, ...counts } = counters;
  return {
    connections: Number(counts.connections),
    requests: Number(counts.requests),
    rejected: Number(counts.rejected),
    bytes,
    zeroCopyBytes,
    zeroCopyRefused: Number(counts.zeroCopyRefused),
    zeroCopyCrowded: Number(counts.zeroCopyCrowded),
  };
}

/** @throws ERR_INVALID_ARGUMENT for what is no choice. */
export function checkZeroCopyChoice(choice: string): void {
  if (zeroCopyChoices.some((each) => each === choice)) return;
  throw new WeightcastError('ERR_INVALID_ARGUMENT', `seed: expected ${zeroCopyChoices.join(', ')} for zeroCopy but received "${choice}"`);
}
