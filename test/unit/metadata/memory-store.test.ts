import { MemoryStore } from '#src/metadata/stores/memory.js';
import { storeConformance } from '../../support/store-conformance.js';

storeConformance('memory', () => {
  const store = new MemoryStore();
  return Promise.resolve({ store, close: () => store.close() });
});
