/** A page over HTTP, with a store that tests fill. */
import { after } from 'node:test';
import { HttpListener } from '#src/http/listener.js';
import { createPage, type PageOptions } from '#src/daemon/page/page.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { TransferLog } from '#src/metadata/transfers/transfer-log.js';
import { silentLogger } from '#src/observe/logger.js';

export interface ServedPage {
  readonly url: string;
  readonly store: MemoryStore;
  readonly transfers: TransferLog;
  /** Ends the streams and the listener. */
  readonly close: () => Promise<void>;
}

/** Closed after the tests of the file. */
export async function servePage(options: Partial<PageOptions> = {}): Promise<ServedPage> {
  const store = new MemoryStore();
  const transfers = new TransferLog();
  const page = createPage({
    store,
    clock: Date.now,
    heartbeatTimeoutMs: 90_000,
    transfers,
    version: '1.2.3',
    backend: store.name,
    ...options,
  });
  const listener = await HttpListener.open({ address: { host: '127.0.0.1', port: 0 }, routes: page.routes, logger: silentLogger });
  const close = async (): Promise<void> => {
    page.close();
    await listener.close(1000);
  };
  after(close);
  return { url: `http://${listener.address}`, store, transfers, close };
}
