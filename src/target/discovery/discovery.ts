/** Where a pull has its sources from. Each origin has one implementation; all that follows is the same for every one. */
import type { TransferReporter } from '../../metadata/transfers/reporter.js';
import type { TensorRead } from '../../metadata/worker/client.js';
import type { Catalog } from '../catalog.js';
import type { FetchFile } from '../destinations/index.js';
import type { Origin } from '../origins.js';
import type { Scope } from '../scope.js';

/** A source that could be tried. Both are `''` where no server gives such ids. */
export interface Candidate {
  readonly sourceId: string;
  readonly workerId: string;
}

/** A source whose weights can be read. */
export interface Source extends Candidate {
  readonly rank: number;
  /** `host:port` of its handshake. */
  readonly peer: string;
  readonly catalog: Catalog;
  /** What its weights are laid out for; `''` when it does not say. */
  readonly accelerator: string;
  /** Other files of the model; `undefined` when it offers none. */
  readonly fetchFile: FetchFile | undefined;
  /** Held until it is released or the scope ends; `undefined` when the source gives none. */
  readonly lease: TensorRead | undefined;
  readonly notes: readonly string[];
  /**
   * Asks the origin whether the source is still at the same session, with the same tensors at the same addresses.
   * @throws when the origin must know and cannot be asked.
   */
  readonly unchanged: (signal: AbortSignal | undefined) => Promise<boolean>;
}

/** A source that offers nothing that we read, and why; known from its record alone. */
export interface Unreadable {
  readonly unreadable: string;
}

export interface Discovery {
  readonly origin: Origin;
  /** What people know the weights by. */
  readonly subject: string;
  /** Name of what orders the candidates; `''` where there is but one. */
  readonly selector: string;
  /** Sources to try. */
  readonly maxSources: number;
  /** Whether opening a source again tells anew where its tensors are; without, a source that changed is lost. */
  readonly renewable: boolean;
  /** Hears how the pull goes; `undefined` where nobody wants to. */
  readonly reporter: TransferReporter | undefined;
  /** Sources, best first; at least one. Called once, before `open`. */
  find(): Promise<readonly Candidate[]>;
  /** Asks for what is needed to read a source. What it opens goes to `scope`. */
  open(candidate: Candidate, scope: Scope): Promise<Source | Unreadable>;
  /** Frees what it holds. */
  close(): void;
}
