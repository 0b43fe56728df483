export { Seed, seedModel, seedTensors } from './seed.js';
export type { SeedOptions, SeedPhase, SeedSummary, SeedTensor, TransportChoice } from './options.js';
