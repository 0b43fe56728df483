export { Seed, seedModel, seedTensors } from './seed.js';
export type { SeedOptions, SeedPhase, SeedSummary, SeedTensor, TensorMemory, TransportChoice } from './options.js';
