export { Mirror, mirror } from './mirror.js';
export type { MirrorOptions, MirrorSource, MirrorSummary } from './options.js';
