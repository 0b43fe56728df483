/** A Redis that is empty before each test, and stores on it. */
import { after, before, beforeEach, type TestContext } from 'node:test';
import { openRedisStore, type OpenRedisStoreOptions } from '#src/metadata/stores/redis/index.js';
import type { MetadataStore } from '#src/metadata/stores/store.js';
import { type RedisOptions, TestRedis } from '../../support/redis.js';

/** To be called inside of `describe`. */
export function useRedis(options: RedisOptions = {}): () => TestRedis {
  let redis: TestRedis;
  before(async () => {
    redis = await TestRedis.start(options);
  });
  beforeEach(async () => {
    await redis.command('FLUSHALL');
  });
  after(async () => {
    await redis.close();
  });
  return () => redis;
}

/** Closed with the test. */
export async function openStore(test: TestContext, redis: TestRedis, options: Partial<OpenRedisStoreOptions> = {}): Promise<MetadataStore> {
  const store = await openRedisStore({ url: redis.url, ...options });
  test.after(() => store.close());
  return store;
}
