/** Opening the store that the configuration names. Packages of a store are loaded only where it is used. */
import { WeightcastError } from '../errors.js';
import type { MetadataStore } from '../metadata/stores/store.js';
import type { Logger } from '../observe/logger.js';
import type { StoreConfig } from './config/daemon-config.js';

/** How long a store may take to open, as ModelExpress has it. Milliseconds. */
const openLimitMs = 10_000;

/** @throws ERR_STORE when the store cannot be opened, or takes longer than 10 s. */
export async function openStore(config: StoreConfig, logger: Logger): Promise<MetadataStore> {
  const opening = open(config, logger);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, failed) => {
    timer = setTimeout(() => {
      const text = `the ${config.kind} store did not open within ${String(openLimitMs / 1000)} s`;
      failed(new WeightcastError('ERR_STORE', text));
      // It may still open; nobody would close it then.
      opening.then((store) => store.close()).catch(() => undefined);
    }, openLimitMs);
  });
  try {
    return await Promise.race([opening, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function open(config: StoreConfig, logger: Logger): Promise<MetadataStore> {
  switch (config.kind) {
    case 'memory': {
      const { MemoryStore } = await import('../metadata/stores/memory.js');
      return new MemoryStore();
    }
    case 'durable': {
      const { openDurableStore } = await import('../metadata/stores/durable/index.js');
      return openDurableStore({ folder: config.folder, logger });
    }
    case 'redis': {
      const { openRedisStore } = await import('../metadata/stores/redis/index.js');
      const { url, oldServers } = config;
      // Its own limit comes first: its message says more.
      return openRedisStore({ url, consultRecords: oldServers, connectTimeoutMs: openLimitMs - 1000, logger });
    }
  }
}
