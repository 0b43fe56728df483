export { Pull, pull } from './pull.js';
export type {
  Destination,
  ExpectedTensor,
  LaneResult,
  PlacedTensor,
  PullOptions,
  PullOutput,
  PullPhase,
  PullProgress,
  PullResult,
  TargetTensor,
} from './options.js';
