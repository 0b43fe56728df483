/** The listings of one source, as stores hand them out. */
import type { WorkerListing } from './store.js';

const origins = new WeakMap<readonly WorkerListing[], SourceListings>();

/**
 * An array that was handed out never changes. The next one differs from it in the places of those workers only that have changed, so that
 * what was made of ten thousand listings can be made up to date without looking into more than a few.
 */
export class SourceListings {
  readonly #places = new Map<string, number>();
  #listings: WorkerListing[] = [];
  #handedOut = false;

  get size(): number {
    return this.#listings.length;
  }

  /** All of them, in no defined order; the same array until one changes. */
  list(): readonly WorkerListing[] {
    if (!this.#handedOut) origins.set(this.#listings, this);
    this.#handedOut = true;
    return this.#listings;
  }

  get(workerId: string): WorkerListing | undefined {
    const place = this.#places.get(workerId);
    return place === undefined ? undefined : this.#listings[place];
  }

  /** Adds the worker's listing, or puts it in the place of the last one. */
  set(listing: WorkerListing): void {
    const place = this.#places.get(listing.workerId) ?? this.#listings.length;
    if (this.#listings[place] === listing) return;
    this.#detach();
    this.#listings[place] = listing;
    this.#places.set(listing.workerId, place);
  }

  delete(workerId: string): void {
    const place = this.#places.get(workerId);
    if (place === undefined) return;
    this.#detach();
    this.#places.delete(workerId);
    // The last one moves into the gap: all others keep their places.
    const last = this.#listings.pop();
    if (last === undefined || place === this.#listings.length) return;
    this.#listings[place] = last;
    this.#places.set(last.workerId, place);
  }

  #detach(): void {
    if (this.#handedOut) this.#listings = [...this.#listings];
    this.#handedOut = false;
  }
}

/**
 * What the array was handed out by; the same for all arrays of a source for as long as its store keeps it. Undefined for arrays that were
 * put together of several sources.
 */
export function originOf(listings: readonly WorkerListing[]): object | undefined {
  return origins.get(listings);
}
