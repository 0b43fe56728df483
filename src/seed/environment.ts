/** The variables of the environment by which ModelExpress workers are set up, as options of a seed. */
import { decimal, localTopology } from '../metadata/selection/index.js';
import { silentLogger, type Logger } from '../observe/logger.js';
import type { ManifestMode } from './manifest-mode.js';
import type { SeedOptions } from './options.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment says of a seed; absent: nothing. */
export type EnvironmentSeed = Pick<
  SeedOptions,
  | 'manifest'
  | 'topology'
  | 'runtimeMetricsUrl'
  | 'pod'
  | 'host'
  | 'workerPort'
  | 'heartbeatIntervalMs'
  | 'publishTimeoutMs'
  | 'transferTimeoutMs'
>;

/** Timers take no more. Seconds. */
const longest = 2_147_483;

/**
 * `MX_P2P_METADATA`, `MX_P2P_TOPOLOGY` and `DYN_TOPOLOGY_MOUNT_PATH`, `MX_P2P_RUNTIME_METRICS_URL`, `POD_NAME`, `POD_UID` and
 * `POD_NAMESPACE`, `MX_WORKER_HOST` (where `WEIGHTCAST_HOST` is not set), `MX_WORKER_GRPC_PORT`, `MX_HEARTBEAT_INTERVAL_SECS`,
 * `MX_PUBLISH_TIMEOUT_SECS`, `MX_TRANSFER_TIMEOUT`. A value that makes no sense is logged and not used, as peers do. Never rejects.
 */
export async function environmentSeed(env: Environment, logger: Logger = silentLogger): Promise<EnvironmentSeed> {
  const whole = (name: string, least: number, most: number): number | undefined => wholeNumber(env, name, least, most, logger);
  const seconds = (name: string): number | undefined => {
    const value = whole(name, 1, longest);
    return value === undefined ? undefined : value * 1000;
  };
  const host = said(env, 'WEIGHTCAST_HOST') ?? said(env, 'MX_WORKER_HOST');
  const pod = { name: said(env, 'POD_NAME'), uid: said(env, 'POD_UID'), namespace: said(env, 'POD_NAMESPACE') };
  return defined({
    manifest: manifestMode(env['MX_P2P_METADATA']),
    topology: await localTopology(env, logger),
    runtimeMetricsUrl: said(env, 'MX_P2P_RUNTIME_METRICS_URL'),
    pod: Object.values(pod).some((value) => value !== undefined) ? pod : undefined,
    host,
    workerPort: whole('MX_WORKER_GRPC_PORT', 0, 65_535),
    heartbeatIntervalMs: seconds('MX_HEARTBEAT_INTERVAL_SECS'),
    publishTimeoutMs: seconds('MX_PUBLISH_TIMEOUT_SECS'),
    transferTimeoutMs: seconds('MX_TRANSFER_TIMEOUT'),
  });
}

/** ModelExpress takes exactly "1" for its worker-served mode; not to say anything leaves the choice to the size of the list. */
function manifestMode(text: string | undefined): ManifestMode | undefined {
  if (text === undefined) return undefined;
  return text === '1' ? 'worker' : 'central';
}

function said(env: Environment, name: string): string | undefined {
  return env[name] === '' ? undefined : env[name];
}

function wholeNumber(env: Environment, name: string, least: number, most: number, logger: Logger): number | undefined {
  const text = env[name];
  if (text === undefined) return undefined;
  const value = decimal(text);
  if (value !== undefined && Number.isInteger(value) && value >= least && value <= most) return value;
  logger.warn(`${name} is no whole number from ${least} to ${most} and is not used`, { value: text });
  return undefined;
}

/** Without the keys whose values are not there. */
function defined<T extends object>(options: { readonly [Key in keyof T]: T[Key] | undefined }): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
