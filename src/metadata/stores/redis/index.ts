/** Redis as a metadata store, in the layout of ModelExpress' servers. */
import type * as Redis from '@redis/client';
import { WeightcastError } from '../../../errors.js';
import { type Logger, silentLogger } from '../../../observe/logger.js';
import type { MetadataStore } from '../store.js';
import { RedisStore } from './store.js';
import { checkUrl } from './url.js';

export { maskUrl } from './url.js';

export interface OpenRedisStoreOptions {
  /** `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS, or `unix:///path`. */
  readonly url: string;
  /** How long to try to connect; default 10 000. */
  readonly connectTimeoutMs?: number;
  /** Longest wait for a reply, with a second more for each 16 MiB that are sent or expected; default 2000. */
  readonly commandTimeoutMs?: number;
  /**
   * Heartbeats of ModelExpress servers before 0.5 rewrite records and not summaries. Where such servers write to this Redis, listings must
   * look into every record, which takes time in proportion to their sizes. Workers that only such servers have written
   * are read correctly in any case. Default false.
   */
  readonly consultRecords?: boolean;
  /** Decoded records that are kept, in bytes; default 256 MiB. */
  readonly cacheBytes?: number;
  readonly logger?: Logger;
}

/**
 * Connects to Redis 6 or newer, or to what speaks like it; not to a Redis Cluster, where a source and its workers would lie apart. The store reconnects by itself; while Redis is away every call rejects within
 * `commandTimeoutMs`. What is acknowledged is as safe as that Redis is: without `appendonly` it forgets when it restarts.
 *
 * @throws ERR_INVALID_ARGUMENT for a URL that is none; ERR_STORE when Redis cannot be reached in time, refuses the
 * connection, or when the package `@redis/client` is not installed.
 */
export async function openRedisStore(options: OpenRedisStoreOptions): Promise<MetadataStore> {
  const { url, connectTimeoutMs = 10_000, commandTimeoutMs = 2000, consultRecords = false, logger = silentLogger } = options;
  const { cacheBytes = 256 * 1024 * 1024 } = options;
  checkUrl(url);
  const connection = { redis: await loadClient(), url, timeoutMs: commandTimeoutMs, logger };
  return RedisStore.open({ connection, connectLimitMs: connectTimeoutMs, consultRecords, cacheBytes, logger });
}

/** An optional dependency: only those who use Redis need it. */
async function loadClient(): Promise<typeof Redis> {
  try {
    return await import('@redis/client');
  } catch (error) {
    const text = 'the Redis store needs the package @redis/client, which cannot be loaded: run `npm install @redis/client`';
    throw new WeightcastError('ERR_STORE', text, { cause: error });
  }
}
