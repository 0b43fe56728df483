/** Where in the data centre this process runs, as ModelExpress peers publish and compare it. */
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLogger, type Logger } from '../../observe/logger.js';

/** Domain → this node's value there, for example `{ block: 'b1', rack: 'r3' }`. */
export type Topology = Readonly<Record<string, string>>;

type Environment = Readonly<Record<string, string | undefined>>;

/** Domains of Grove's `ClusterTopology`, from the broadest to the narrowest. */
export const groveDomains: readonly string[] = ['region', 'zone', 'datacenter', 'block', 'rack', 'host', 'numa'];

/** Dynamo's operator projects a node's topology there: one file a domain, its content the value. */
const mountVariable = 'DYN_TOPOLOGY_MOUNT_PATH';
const defaultMount = '/etc/dynamo/topology';

/**
 * This node's topology: the JSON object in `MX_P2P_TOPOLOGY`, else the files under `DYN_TOPOLOGY_MOUNT_PATH` (default
 * `/etc/dynamo/topology`). Empty when neither says anything; what cannot be understood is logged and left out. Never rejects.
 */
export async function localTopology(env: Environment, logger: Logger = silentLogger): Promise<Topology> {
  const text = env['MX_P2P_TOPOLOGY'] ?? '';
  return text === '' ? await readMount(env[mountVariable] ?? defaultMount) : parseTopology(text, logger);
}

/** Levels that topologies are compared by, broad to narrow: `MX_P2P_TOPOLOGY_LEVELS`, separated by commas; default {@link groveDomains}. */
export function topologyLevels(env: Environment, logger: Logger = silentLogger): readonly string[] {
  const text = env['MX_P2P_TOPOLOGY_LEVELS'] ?? '';
  if (text === '') return groveDomains;
  const levels = text
    .split(',')
    .map((level) => level.trim())
    .filter((level) => level !== '');
  const unknown = levels.filter((level) => !groveDomains.includes(level));
  if (unknown.length > 0) {
    logger.warn('MX_P2P_TOPOLOGY_LEVELS has levels that are none of the usual ones; they work where all peers use them', {
      unknown,
      usual: groveDomains,
    });
  }
  return levels;
}

function parseTopology(text: string, logger: Logger): Topology {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    logger.warn('MX_P2P_TOPOLOGY is not JSON and is ignored', { value: text, error });
    return {};
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    logger.warn('MX_P2P_TOPOLOGY is not a JSON object and is ignored', { value: text });
    return {};
  }
  return Object.fromEntries(
    Object.entries(parsed as Record<string, unknown>).flatMap(([domain, value]) => {
      const plain = plainText(value);
      if (plain === undefined && value !== null) logger.warn('MX_P2P_TOPOLOGY has a value that is no text', { domain, value });
      return plain === undefined ? [] : [[domain, plain]];
    }),
  );
}

/** Numbers and truth values as peers in Python write them; `undefined` for what is no single value. */
function plainText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return undefined;
}

/** Hidden names are the projected volume's own; everything that cannot be read is left out, as peers do. */
async function readMount(folder: string): Promise<Topology> {
  const names = await readdir(folder).catch(() => []);
  const entries = await Promise.all(
    names
      .filter((name) => !name.startsWith('.'))
      .sort()
      .map(async (name): Promise<readonly [string, string] | undefined> => {
        try {
          const path = join(folder, name);
          if (!(await stat(path)).isFile()) return undefined;
          const value = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path)).trim();
          return value === '' ? undefined : [name, value];
        } catch {
          return undefined;
        }
      }),
  );
  return Object.fromEntries(entries.filter((entry) => entry !== undefined));
}
