/** Opens the store of the URL that it is given, uses it, and says how that went. */
import { WeightcastError } from '#src/errors.js';
import { openRedisStore } from '#src/metadata/stores/redis/index.js';

try {
  const store = await openRedisStore({ url: process.argv[2] ?? '', connectTimeoutMs: 10_000 });
  await store.check();
  await store.close();
  console.log('usable');
} catch (error) {
  console.log(error instanceof WeightcastError ? `${error.code}: ${error.message}` : String(error));
}
