import type { SeedOptions, SeedSummary } from '../seed/index.js';
import type { PullOptions, PullProgress, PullResult, SelectionSettings } from '../target/index.js';

/** How a mirror finds and reads its source; each as in {@link PullOptions}. */
export type MirrorSource = Pick<
  PullOptions,
  | keyof SelectionSettings
  | 'waitMs'
  | 'selector'
  | 'maxSources'
  | 'queuePairs'
  | 'readsInFlight'
  | 'connections'
  | 'sliceBytes'
  | 'stallTimeoutMs'
  | 'transferTimeoutMs'
  | 'reportTransfers'
>;

/** How a mirror is offered, as a seed is; `identity`, `rank`, `transport`, `devices`, `host` … count for its pull, too. */
export interface MirrorOptions extends Omit<SeedOptions, 'checksums' | 'prepare'> {
  /** Default: a READY worker of the same identity and rank at the server, any but this one. */
  readonly source?: MirrorSource;
  /**
   * `auto` (default): nothing is served that was not verified, by the source's checksums, or, where it publishes none, by a
   * second read of the same tensors. `none`: what was read is served as it is, with the source's checksums if it has any, so
   * that targets find out; a mirror of a source without them publishes none either.
   */
  readonly verify?: 'auto' | 'none';
  /** What the weights are laid out for, where the source does not say; the source's word counts first. */
  readonly accelerator?: string;
  /** Of the pull, which is the phase `open` of {@link SeedOptions.onPhase}. */
  readonly onProgress?: (progress: PullProgress) => void;
}

/** What a mirror that is up offers, and where it has it from. */
export interface MirrorSummary extends SeedSummary {
  /** The pull: source, transport, what was verified, how long it took. */
  readonly source: Omit<PullResult, 'output'>;
}
