import type { SeedOptions, SeedSummary } from '../seed/index.js';
import type { FromRegistry, FromSession, FromSglang, PullProgress, PullResult, PullSettings, SelectionSettings } from '../target/index.js';

/** How a source's bytes are read; each as in {@link PullSettings}. */
type ReadSettings = Pick<
  PullSettings,
  'like' | 'queuePairs' | 'readsInFlight' | 'connections' | 'sliceBytes' | 'stallTimeoutMs' | 'transferTimeoutMs'
>;

/** A worker of the mirror's own identity and rank, at its own server. */
type FromOwnRegistry = Pick<FromRegistry, keyof SelectionSettings | 'waitMs' | 'selector' | 'maxSources' | 'reportTransfers'>;

/**
 * Where a mirror's weights come from, and how they are read: a worker at the mirror's server, an SGLang server (of which the mirror's
 * own rank is read), or a TransferEngine session. Certificates and token of the mirror are for its server only; an SGLang server has its own.
 */
export type MirrorSource = ReadSettings & (FromOwnRegistry | Omit<FromSglang, 'rank'> | FromSession);

/** How a mirror is offered, as a seed is; `rank`, `transport`, `devices`, `gidIndex`, `host`, `logger` and `signal` count for its pull, too. */
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
