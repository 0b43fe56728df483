export {
  environmentSelection,
  localTopology,
  registerSelector,
  type SelectionSettings,
  type SelectionTarget,
  type SelectorFactory,
  type SourceSelector,
  type Topology,
} from '../metadata/selection/index.js';
export { environmentTransferTimeout } from './budget.js';
export { Pull, pull } from './pull.js';
export type {
  Destination,
  ExpectedTensor,
  LaneResult,
  MappedTensor,
  PlacedTensor,
  PullOptions,
  PullOutput,
  PullPhase,
  PullProgress,
  PullResult,
  PullSettings,
  RegistryPullOptions,
  SessionPullOptions,
  SglangPullOptions,
  TargetTensor,
  Transport,
} from './options.js';
export type { FromRegistry, FromSession, FromSglang, Origin, SessionTensor } from './origins.js';
export type { Verified } from './verify.js';
