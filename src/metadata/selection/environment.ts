/** The variables of the environment by which ModelExpress targets choose their sources. */
import { silentLogger, type Logger } from '../../observe/logger.js';
import { defaultSelector, selectorNames, type SelectionSettings } from './registry.js';
import { localTopology, topologyLevels } from './topology.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment says of selection, each part as an option of a pull. */
export interface EnvironmentSelection extends SelectionSettings {
  readonly selector: string;
}

/**
 * `MX_P2P_SOURCE_SELECTOR`, `MX_P2P_LOAD_WEIGHT`, `MX_P2P_TOPOLOGY`, `MX_P2P_TOPOLOGY_LEVELS`, `MX_P2P_TOPOLOGY_LOAD_WEIGHT`
 * and `DYN_TOPOLOGY_MOUNT_PATH`. A value that makes no sense is logged and replaced by the default, as peers do: a
 * mistake there must not keep a fleet from loading. Never rejects.
 */
export async function environmentSelection(env: Environment, logger: Logger = silentLogger): Promise<EnvironmentSelection> {
  return {
    selector: selectorName(env, logger),
    topology: await localTopology(env, logger),
    topologyLevels: topologyLevels(env, logger),
    loadWeight: loadWeight(env, 'MX_P2P_LOAD_WEIGHT', 1, logger),
    topologyLoadWeight: loadWeight(env, 'MX_P2P_TOPOLOGY_LOAD_WEIGHT', 0, logger),
  };
}

function selectorName(env: Environment, logger: Logger): string {
  const name = env['MX_P2P_SOURCE_SELECTOR'] ?? '';
  if (name === '' || selectorNames().includes(name)) return name || defaultSelector;
  logger.warn(`MX_P2P_SOURCE_SELECTOR names no selector; ${defaultSelector} is used`, { name, known: selectorNames() });
  return defaultSelector;
}

/** `undefined` when the variable is not set; a negative weight, which would prefer busy sources, counts as 0. */
function loadWeight(env: Environment, name: string, fallback: number, logger: Logger): number | undefined {
  const text = env[name];
  if (text === undefined) return undefined;
  const value = decimal(text);
  if (value === undefined) logger.warn(`${name} is no finite number; ${String(fallback)} is used`, { value: text });
  return Math.max(0, value ?? fallback);
}

/** A finite decimal number; `undefined` for anything else. `Number` would take '' and '0x10' too. */
export function decimal(text: string): number | undefined {
  const trimmed = text.trim();
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}
