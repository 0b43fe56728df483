import type { MetadataBenchOptions } from '#src/bench/metadata/options.js';
import { benchmarkNames } from '#src/bench/metadata/names.js';

/** Tiny sizes, where a test says nothing else. */
export function benchOptions(options: Partial<MetadataBenchOptions> = {}): MetadataBenchOptions {
  return {
    server: { start: () => Promise.reject(new Error('nothing is started here')) },
    only: benchmarkNames,
    repetitions: 2,
    durationMs: 200,
    connections: [1, 3],
    publishTensors: 3,
    workers: 40,
    tensors: 100,
    residentWorkers: 20,
    residentTensors: 10,
    signal: new AbortController().signal,
    tell: () => undefined,
    ...options,
  };
}
