/** Where values come from: flags before the environment before a file. */
import type { ConfigFile } from './file.js';
import { type SettingKey, settingKeys, settingOf, ownVariable } from './settings.js';

export type Origin = 'flag' | 'environment' | 'file';

/** A value as somebody gave it. */
export interface Given {
  readonly key: SettingKey;
  readonly raw: unknown;
  readonly origin: Origin;
  /** `--port`, `MX_GC_TIMEOUT_SECS`, `weightcast.yaml:3` */
  readonly where: string;
  /** A bad value is a warning, and the next layer's is taken. */
  readonly lenient?: true;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What is empty counts as not set. */
export function variable(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}

/** The values of the environment; of several names for one setting the first. Without the store's address: see {@link redisFrom}. */
export function fromEnvironment(env: Environment): Given[] {
  const given: Given[] = [];
  for (const key of settingKeys) {
    if (key === 'store.redis_url') continue;
    const { env: names = [], lenientEnv } = settingOf(key);
    for (const name of [ownVariable(key), ...names]) {
      const raw = variable(env, name);
      if (raw === undefined) continue;
      const lenient = lenientEnv === true && name !== ownVariable(key);
      // ModelExpress takes whole seconds only.
      const value = lenient && !/^\d+$/.test(raw) ? `${raw} (no whole number)` : raw;
      given.push({ key, raw: value, origin: 'environment', where: name, ...(lenient && { lenient }) });
      break;
    }
  }
  return given;
}

export function fromFile(file: ConfigFile | undefined): Given[] {
  return (file?.values ?? []).map((value) => ({ ...value, origin: 'file' }));
}

/**
 * The address of Redis in the environment: one variable, or host and port in two. Looked at only where the store is
 * Redis: Kubernetes sets variables of such names for every service called redis.
 */
export function redisFrom(env: Environment): Given | undefined {
  const key = 'store.redis_url';
  for (const where of [ownVariable(key), 'REDIS_URL']) {
    const raw = variable(env, where);
    if (raw !== undefined) return { key, raw, origin: 'environment', where };
  }
  const host = firstOf(env, ['MX_REDIS_HOST', 'REDIS_HOST']);
  if (host === undefined) return undefined;
  const port = firstOf(env, ['MX_REDIS_PORT', 'REDIS_PORT']);
  const raw = `redis://${host.value}:${port?.value ?? ''}`;
  // Without a port no URL comes of it, and the message names what is missing.
  const missing = port === undefined;
  const where = missing ? `${host.name} without MX_REDIS_PORT or REDIS_PORT` : `${host.name} and ${port.name}`;
  return { key, raw: missing ? null : raw, origin: 'environment', where };
}

function firstOf(env: Environment, names: readonly string[]): { readonly name: string; readonly value: string } | undefined {
  for (const name of names) {
    const value = variable(env, name);
    if (value !== undefined) return { name, value };
  }
  return undefined;
}
