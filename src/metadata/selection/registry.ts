/** Selectors by name. */
import { WeightcastError } from '../../errors.js';
import { loadAwareSelector } from './load-aware.js';
import { randomSelector } from './random.js';
import { rendezvousHashSelector } from './rendezvous-hash.js';
import type { SourceSelector } from './selector.js';
import { topologyAwareSelector } from './topology-aware.js';
import { groveDomains, type Topology } from './topology.js';

/** What selectors can be told. */
export interface SelectionSettings {
  /** Where the target runs, for `topology_aware`; default: unknown. */
  readonly topology?: Topology | undefined;
  /** Levels that topologies are compared by, broad to narrow; default region, zone, datacenter, block, rack, host, numa. */
  readonly topologyLevels?: readonly string[] | undefined;
  /** Weight of a source's load in `load_aware`, default 1; when given also in `topology_aware`. */
  readonly loadWeight?: number | undefined;
  /** Weight of the load among sources at the same distance, in `topology_aware`; default: `loadWeight` when that is given, else 0. */
  readonly topologyLoadWeight?: number | undefined;
}

/** Makes a selector for one pull. */
export type SelectorFactory = (settings: SelectionSettings) => SourceSelector;

/** What a pull uses that names none. */
export const defaultSelector = 'random';

const factories = new Map<string, SelectorFactory>([
  ['random', randomSelector],
  ['rendezvous_hash', rendezvousHashSelector],
  ['load_aware', ({ loadWeight }) => loadAwareSelector(weight('loadWeight', loadWeight) ?? 1)],
  [
    'topology_aware',
    ({ topology, topologyLevels, loadWeight, topologyLoadWeight }) =>
      topologyAwareSelector({
        levels: topologyLevels ?? groveDomains,
        local: topology ?? {},
        loadWeight: weight('topologyLoadWeight', topologyLoadWeight) ?? weight('loadWeight', loadWeight) ?? 0,
      }),
  ],
]);

/** Makes `name` known to every later pull of this process; the last registration of a name wins. */
export function registerSelector(name: string, factory: SelectorFactory): void {
  factories.set(name, factory);
}

/** Names that {@link selectorOf} knows. */
export function selectorNames(): readonly string[] {
  return [...factories.keys()];
}

/**
 * The selector of this name, or the one given.
 * @throws ERR_INVALID_ARGUMENT for a name that is not known, and for a weight that is not finite or below 0.
 */
export function selectorOf(selector: string | SourceSelector = defaultSelector, settings: SelectionSettings = {}): SourceSelector {
  if (typeof selector !== 'string') return selector;
  const factory = factories.get(selector);
  if (factory === undefined) {
    throw new WeightcastError(
      'ERR_INVALID_ARGUMENT',
      `Expected one of ${selectorNames().join(', ')} for the source selector but received ${JSON.stringify(selector)}`,
    );
  }
  return factory(settings);
}

function weight(option: string, value: number | undefined): number | undefined {
  if (value !== undefined && !(Number.isFinite(value) && value >= 0)) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `Expected a finite number, 0 or more, for ${option} but received ${String(value)}`);
  }
  return value;
}
