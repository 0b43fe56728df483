/** What every store must do, with a real Redis behind. */
import { after, before, describe } from 'node:test';
import { openRedisStore } from '#src/metadata/stores/redis/index.js';
import type { MetadataStore } from '#src/metadata/stores/store.js';
import { noRedis, TestRedis } from '../../support/redis.js';
import { storeConformance } from '../../support/store-conformance.js';

describe('the Redis store', { skip: noRedis }, () => {
  let redis: TestRedis;
  before(async () => {
    redis = await TestRedis.start();
  });
  after(async () => {
    await redis.close();
  });

  async function opened(options: { readonly consultRecords: boolean }): Promise<{
    store: MetadataStore;
    reopen: () => Promise<MetadataStore>;
    close: () => Promise<void>;
  }> {
    await redis.command('FLUSHALL');
    const stores: MetadataStore[] = [];
    const open = async (): Promise<MetadataStore> => {
      const store = await openRedisStore({ url: redis.url, ...options });
      stores.push(store);
      return store;
    };
    const store = await open();
    const close = async (): Promise<void> => {
      for (const each of stores) await each.close();
    };
    const reopen = async (): Promise<MetadataStore> => {
      await store.close();
      return open();
    };
    return { store, reopen, close };
  }

  storeConformance('Redis', () => opened({ consultRecords: false }));
  storeConformance('Redis with records consulted', () => opened({ consultRecords: true }));
});
