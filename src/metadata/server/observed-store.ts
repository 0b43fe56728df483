/** A store whose operations somebody hears of. */
import type {
  MetadataStore,
  SourceAttributes,
  StatusUpdate,
  StoredRecord,
  StoreName,
  WorkerListing,
  WorkerRecord,
} from '../stores/store.js';
import type { ServerObserver, StoreOperation } from './observer.js';

/** Hands everything on as it is, so that what stores promise of identity and order holds. */
export class ObservedStore implements MetadataStore {
  readonly name: StoreName;
  readonly #store: MetadataStore;
  readonly #observer: ServerObserver;

  constructor(store: MetadataStore, observer: ServerObserver) {
    this.name = store.name;
    this.#store = store;
    this.#observer = observer;
  }

  check(): Promise<void> {
    return this.#store.check();
  }

  publish(sourceId: string, workerId: string, source: SourceAttributes, worker: WorkerRecord): Promise<void> {
    return this.#timed('publish', this.#store.publish(sourceId, workerId, source, worker));
  }

  list(sourceId?: string): Promise<readonly WorkerListing[]> {
    return this.#timed('list', this.#store.list(sourceId));
  }

  get(sourceId: string, workerId: string): Promise<StoredRecord | undefined> {
    return this.#timed('get', this.#store.get(sourceId, workerId));
  }

  updateStatus(sourceId: string, workerId: string, workerRank: number, update: StatusUpdate, ifUpdatedAt?: bigint): Promise<boolean> {
    return this.#timed('update_status', this.#store.updateStatus(sourceId, workerId, workerRank, update, ifUpdatedAt));
  }

  removeWorker(sourceId: string, workerId: string, ifUpdatedAt?: bigint): Promise<boolean> {
    return this.#timed('remove_worker', this.#store.removeWorker(sourceId, workerId, ifUpdatedAt));
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #timed<T>(operation: StoreOperation, result: Promise<T>): Promise<T> {
    const startedAt = performance.now();
    let ok = false;
    try {
      const value = await result;
      ok = true;
      return value;
    } finally {
      this.#observer.storeOperation(operation, ok, (performance.now() - startedAt) / 1000);
    }
  }
}

/** The same for the reaper, whose changes to workers are told too. */
export class ReaperStore extends ObservedStore {
  readonly #told: ServerObserver;

  constructor(store: MetadataStore, observer: ServerObserver) {
    super(store, observer);
    this.#told = observer;
  }

  override async updateStatus(...update: Parameters<MetadataStore['updateStatus']>): Promise<boolean> {
    const done = await super.updateStatus(...update);
    if (done) this.#told.workerReaped('marked_stale');
    return done;
  }

  override async removeWorker(...worker: Parameters<MetadataStore['removeWorker']>): Promise<boolean> {
    const done = await super.removeWorker(...worker);
    if (done) this.#told.workerReaped('removed');
    return done;
  }
}
