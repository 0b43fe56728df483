/** The queue pairs that a seed holds for its readers, bounded in number. */
import { toWeightcastError, WeightcastError } from '../errors.js';
import type { NativeEndpoint } from '../native.js';
import type { Logger } from '../observe/logger.js';

/**
 * - `connecting`: counted, its queue pairs are being made.
 * - `cancelled`: was connecting when the reader gave it up; goes when it is made.
 * - `connected`: the reader may be reading.
 * - `retiring`: a newer one of the same path exists; goes after the grace.
 * - `closed`: gone.
 */
type State =
  | { readonly at: 'connecting' | 'cancelled' | 'closed' }
  | { readonly at: 'connected'; readonly endpoint: NativeEndpoint }
  | { readonly at: 'retiring'; readonly endpoint: NativeEndpoint; readonly timer: NodeJS.Timeout };

/** A place in the table, held from before the queue pairs are made until they are gone. */
export interface Slot {
  /** Own device and the reader's NIC path. */
  readonly path: string;
  /** The reader's queue pair numbers. */
  readonly peerNumbers: readonly number[];
  state: State;
}

/** Endpoints of one path at once: the one in use and those that it has just given up. */
const maxPerPath = 4;

/** Slots in order of arrival: a seed does not see reads, so the longest connected counts as the least recently used. */
export class EndpointTable {
  readonly #slots = new Set<Slot>();
  readonly #maxQueuePairs: number;
  readonly #graceMs: number;
  readonly #logger: Logger | undefined;
  #queuePairs = 0;
  #closed = false;

  constructor(maxQueuePairs: number, graceMs: number, logger: Logger | undefined) {
    this.#maxQueuePairs = maxQueuePairs;
    this.#graceMs = graceMs;
    this.#logger = logger;
  }

  /** Queue pairs held or being made. */
  get queuePairs(): number {
    return this.#queuePairs;
  }

  /**
   * Makes room, at the cost of the path's own retiring endpoints where it has too many, then of all retiring and then of the
   * oldest endpoints.
   *
   * @throws WeightcastError `ERR_HANDSHAKE` when everything, or everything of the path, is still connecting, `ERR_CLOSED`.
   */
  async reserve(path: string, peerNumbers: readonly number[]): Promise<Slot> {
    this.#requireOpen();
    const victims = this.#surplusOf(path);
    const freed = victims.reduce((sum, victim) => sum + victim.peerNumbers.length, 0);
    let excess = this.#queuePairs - freed + peerNumbers.length - this.#maxQueuePairs;
    const full = excess > 0;
    for (const at of ['retiring', 'connected'] as const) {
      for (const slot of this.#slots) {
        if (excess <= 0) break;
        if (slot.state.at !== at || victims.includes(slot)) continue;
        victims.push(slot);
        excess -= slot.peerNumbers.length;
      }
    }
    if (excess > 0) {
      throw new WeightcastError(
        'ERR_HANDSHAKE',
        `the seed holds ${String(this.#queuePairs)} queue pairs of at most ${String(this.#maxQueuePairs)}`,
      );
    }
    const slot: Slot = { path, peerNumbers, state: { at: 'connecting' } };
    this.#slots.add(slot);
    this.#queuePairs += peerNumbers.length;
    for (const victim of full ? victims : []) {
      this.#logger?.warn('too many queue pairs: dropping the oldest reader', { path: victim.path, maxQueuePairs: this.#maxQueuePairs });
    }
    await Promise.all(victims.map((victim) => this.drop(victim)));
    return slot;
  }

  /** What must go so that a path may have one more: its longest retiring endpoints. */
  #surplusOf(path: string): Slot[] {
    const own = [...this.#slots].filter((slot) => slot.path === path);
    const surplus = own.length + 1 - maxPerPath;
    if (surplus <= 0) return [];
    const retiring = own.filter(({ state }) => state.at === 'retiring');
    if (retiring.length < surplus) {
      throw new WeightcastError('ERR_HANDSHAKE', `${String(own.length)} connections of ${path} are being made: wait for their replies`);
    }
    return retiring.slice(0, surplus);
  }

  /**
   * The queue pairs of a slot are connected: older ones of its path retire. On an error the caller still owns `endpoint`.
   *
   * @throws WeightcastError `ERR_HANDSHAKE` when the reader gave up meanwhile, `ERR_CLOSED`.
   */
  commit(slot: Slot, endpoint: NativeEndpoint): void {
    this.#requireOpen();
    if (slot.state.at !== 'connecting') throw new WeightcastError('ERR_HANDSHAKE', `the reader gave up the connection ${slot.path}`);
    slot.state = { at: 'connected', endpoint };
    const alive = [...this.#slots].filter(({ path, state }) => path === slot.path && state.at === 'connected');
    for (const older of alive.slice(0, -1)) this.#retire(older);
  }

  /** Destroys a slot's queue pairs at once and frees its place. Never rejects; idempotent. */
  async drop(slot: Slot): Promise<void> {
    const { state } = slot;
    if (state.at === 'closed') return;
    slot.state = { at: 'closed' };
    this.#slots.delete(slot);
    this.#queuePairs -= slot.peerNumbers.length;
    if (state.at === 'retiring') clearTimeout(state.timer);
    if (state.at === 'connected' || state.at === 'retiring') await this.#close(state.endpoint, slot.path);
  }

  /** The reader says that it is done with these queue pairs. Unknown ones are ignored. */
  async release(path: string, peerNumbers: readonly number[]): Promise<void> {
    for (const slot of [...this.#slots]) {
      const same =
        slot.peerNumbers.length === peerNumbers.length && slot.peerNumbers.every((number, index) => number === peerNumbers[index]);
      if (slot.path !== path || !same) continue;
      if (slot.state.at === 'connecting') slot.state = { at: 'cancelled' };
      else if (slot.state.at !== 'cancelled') await this.drop(slot);
    }
  }

  /** Destroys everything that is connected; what is connecting fails to commit. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    const held = [...this.#slots].filter(({ state }) => state.at === 'connected' || state.at === 'retiring');
    await Promise.all(held.map((slot) => this.drop(slot)));
  }

  #retire(slot: Slot): void {
    if (slot.state.at !== 'connected') return;
    const timer = setTimeout(() => void this.drop(slot), this.#graceMs);
    timer.unref();
    slot.state = { at: 'retiring', endpoint: slot.state.endpoint, timer };
  }

  async #close(endpoint: NativeEndpoint, path: string): Promise<void> {
    try {
      await endpoint.close();
    } catch (error) {
      this.#logger?.warn('queue pairs could not be destroyed', { path, error: toWeightcastError(error).message });
    }
  }

  #requireOpen(): void {
    if (this.#closed) throw new WeightcastError('ERR_CLOSED', 'the seed is closing: read from another source');
  }
}
