/** The parts of `bench metadata`. Plain data: the command line is built from it. */
export const benchmarkNames = ['publish', 'heartbeat', 'list', 'get', 'resident'] as const;

export type BenchmarkName = (typeof benchmarkNames)[number];
