export { acceleratorsCompatible, isPlain, type WeightKind } from './accelerators.js';
export { decimal, environmentSelection, type EnvironmentSelection } from './environment.js';
export { defaultSelector, registerSelector, selectorNames, selectorOf, type SelectionSettings, type SelectorFactory } from './registry.js';
export type { SelectionTarget, SourceSelector } from './selector.js';
export { groveDomains, localTopology, topologyLevels, type Topology } from './topology.js';
