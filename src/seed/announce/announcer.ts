/** Telling peers of a seed: what every way of doing that is given, and gives. */
import type { SourceIdentity, TensorDescriptor } from '../../gen/model_express/p2p.js';
import type { ModelManifest } from '../../metadata/worker/model-manifest.js';
import type { Logger } from '../../observe/logger.js';
import type { RailPort } from '../../rails.js';
import type { SeedContent } from '../content.js';
import type { SeedDataPlane } from '../data-plane.js';
import type { SeedOptions, SeedSummary } from '../options.js';

/** Closes one thing that bringing a seed up opened; called in reverse order. */
export type Cleanup = () => Promise<void> | void;

/** What is known of a seed before anything of it is open. */
export interface Beginning {
  readonly options: SeedOptions;
  readonly identity: SourceIdentity;
  readonly workerId: string;
  readonly rank: number;
  /** The address that peers reach this host at. */
  readonly host: string;
  readonly logger: Logger;
  /** Takes what is opened, in order. */
  readonly cleanups: Cleanup[];
}

/** A seed that can be read, before anybody knows of it. */
export interface Ready extends Beginning {
  readonly content: SeedContent;
  readonly tensors: readonly TensorDescriptor[];
  readonly manifest: ModelManifest;
  readonly plane: SeedDataPlane;
  /** RDMA ports that peers read over. */
  readonly ports: readonly RailPort[];
  /** Whether peers can read now. */
  readonly healthy: () => Promise<boolean>;
}

/** One way in which peers find a seed, opened before anything that takes long, so that what is wrong with it shows at once. */
export interface Announcer {
  /** Whether the checksums of tensors reach targets this way. */
  readonly carriesChecksums: boolean;
  /** What is to be noted of announcing this content. @throws ERR_INVALID_ARGUMENT when it cannot be announced. */
  check(content: SeedContent, options: SeedOptions): string[];
  /** Resolves when peers find the seed; what it opened is in `cleanups`. */
  announce(ready: Ready): Promise<Partial<SeedSummary>>;
}
