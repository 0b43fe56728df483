/** Who reads the published tensors, as far as readers say so: leases that are given back, or end by themselves. */
import { randomUUID } from 'node:crypto';

export interface TensorReadLeasesOptions {
  /** How long a lease lasts that is not given back. Milliseconds. */
  readonly leaseMs: number;
  /** Leases at the same time; default 20 000. */
  readonly maxLeases?: number;
  /** Leases of one holder at the same time, dead ones that have not ended yet included; default 1 000. */
  readonly maxLeasesOfOne?: number;
  /** Monotonic milliseconds; default `performance.now`. */
  readonly now?: () => number;
}

/** Why no lease was given. `draining`: none will be; `full`: none now. */
export type LeaseRefusal = 'draining' | 'full';

interface Lease {
  readonly holder: string;
  readonly endsAt: number;
}

/** Ended leases are found when somebody looks, by no timer of their own. */
export class TensorReadLeases {
  readonly leaseMs: number;
  readonly #maxLeases: number;
  readonly #maxLeasesOfOne: number;
  readonly #now: () => number;
  /** By id. All last equally long, so that they end in the order in which they stand here. */
  readonly #leases = new Map<string, Lease>();
  readonly #ofHolder = new Map<string, number>();
  #drained: Promise<number> | undefined;
  #wake: () => void = () => undefined;

  constructor(options: TensorReadLeasesOptions) {
    this.leaseMs = options.leaseMs;
    this.#maxLeases = options.maxLeases ?? 20_000;
    this.#maxLeasesOfOne = options.maxLeasesOfOne ?? 1000;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Leases that have neither ended nor been given back. */
  get running(): number {
    this.#dropEnded();
    return this.#leases.size;
  }

  get draining(): boolean {
    return this.#drained !== undefined;
  }

  /** @param holder the reader's address: one host cannot take all leases. */
  take(holder: string): { readonly id: string } | { readonly refused: LeaseRefusal } {
    if (this.draining) return { refused: 'draining' };
    const full = this.running >= this.#maxLeases || (this.#ofHolder.get(holder) ?? 0) >= this.#maxLeasesOfOne;
    if (full) return { refused: 'full' };
    const id = randomUUID().replaceAll('-', '');
    this.#leases.set(id, { holder, endsAt: this.#now() + this.leaseMs });
    this.#ofHolder.set(holder, (this.#ofHolder.get(holder) ?? 0) + 1);
    return { id };
  }

  /** False when there is no such lease (any more). */
  release(id: string): boolean {
    this.#dropEnded();
    const known = this.#drop(id);
    if (known) this.#wake();
    return known;
  }

  /**
   * Gives no lease from now on, and waits until all have ended, `timeoutMs` milliseconds at most. Only the first call's
   * time counts. Resolves to the number of leases that still run; never rejects.
   */
  drain(timeoutMs: number): Promise<number> {
    this.#drained ??= this.#drain(timeoutMs);
    return this.#drained;
  }

  async #drain(timeoutMs: number): Promise<number> {
    const deadline = this.#now() + timeoutMs;
    for (;;) {
      const { running } = this;
      const left = deadline - this.#now();
      if (running === 0 || left <= 0) return running;
      await this.#change(Math.min(left, this.#firstEnd() - this.#now()));
    }
  }

  /** Until a lease is given back, `ms` milliseconds at most. */
  async #change(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, Math.max(1, Math.ceil(ms)));
    });
    clearTimeout(timer);
  }

  #firstEnd(): number {
    for (const { endsAt } of this.#leases.values()) return endsAt;
    return this.#now();
  }

  #dropEnded(): void {
    const now = this.#now();
    for (const [id, { endsAt }] of this.#leases) {
      if (endsAt > now) return;
      this.#drop(id);
    }
  }

  #drop(id: string): boolean {
    const lease = this.#leases.get(id);
    if (lease === undefined) return false;
    this.#leases.delete(id);
    const left = (this.#ofHolder.get(lease.holder) ?? 1) - 1;
    if (left === 0) this.#ofHolder.delete(lease.holder);
    else this.#ofHolder.set(lease.holder, left);
    return true;
  }
}
