export { environmentSeed, type EnvironmentSeed } from './environment.js';
export type { ManifestMode } from './manifest-mode.js';
export { Seed, seedModel, seedTensors } from './seed.js';
export type { SeedOptions, SeedPhase, SeedSummary, SeedTensor, SglangOffer, TransportChoice } from './options.js';
export type { TcpServed, ZeroCopyChoice } from './tcp-served.js';
