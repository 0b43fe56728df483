/** A metadata server that is started to be measured: `weightcast serve` in a process of its own. */
import { resolve } from 'node:path';
import { Child } from '../child.js';
import { ownVariable, settingKeys, settingOf, type SettingKey } from '../../daemon/config/settings.js';
import type { Subject } from '../../bench/server/subject.js';
import { metricsUsage, processUsage } from '../../bench/server/usage.js';

export interface OwnServerOptions {
  readonly store: 'memory' | 'durable' | 'redis';
  readonly storePath: string | undefined;
  readonly redisUrl: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * All load comes from one address here, where a deployment has many: limits of what one client may do would be all that
 * is measured. What protects the server from everybody together stays.
 */
const limits: Partial<Record<SettingKey, string>> = {
  'limits.connections_per_client': '1000000',
  'limits.connections_per_second': '0',
  'limits.calls_per_client': '1000000',
  'limits.requests_per_second': '0',
  'limits.receiving_per_client': '1000000',
  'limits.receiving_bytes_per_second': '0',
  'limits.sending_bytes_per_client': '2147483647',
};

/** Rejects with what the server reports when it cannot start. The caller disposes of it. */
export async function startOwnServer(options: OwnServerOptions, env: Environment, signal: AbortSignal): Promise<Subject> {
  const child = new Child('the metadata server', ['serve', ...argumentsOf(options)], false, environmentOf(env));
  // `process.exit` (a second Ctrl-C) runs no other cleanup.
  const atExit = (): void => {
    child.kill();
  };
  process.once('exit', atExit);
  const stop = async (): Promise<void> => {
    await child.stop();
    process.off('exit', atExit);
  };
  try {
    const { address, metrics } = await child.next(signal);
    return {
      address: String(address),
      security: {},
      own: true,
      store: options.store,
      usage: process.platform === 'linux' ? processUsage(child.pid) : metricsUsage(`http://${String(metrics)}/metrics`),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** As in a deployment, with page and metrics; but workers that send no heartbeats stay READY while it lasts. */
function argumentsOf({ store, storePath, redisUrl }: OwnServerOptions): string[] {
  return [
    ...['--listen', '127.0.0.1:0', '--http-port', 'any', '--metrics-port', 'any', '--log-level', 'error'],
    // An empty file: what is measured must not depend on a configuration that lies around.
    ...['--config', '/dev/null', '--heartbeat-timeout', '3600', '--store', store],
    ...(storePath === undefined ? [] : ['--store-path', resolve(storePath)]),
    ...(redisUrl === undefined ? [] : ['--redis-url', redisUrl]),
  ];
}

/** Ours without what configures a server, and with the limits, most of which have no flag. */
function environmentOf(env: Environment): NodeJS.ProcessEnv {
  const own = { ...env };
  for (const key of settingKeys) {
    for (const name of [ownVariable(key), ...(settingOf(key).env ?? [])]) Reflect.deleteProperty(own, name);
  }
  for (const [key, value] of Object.entries(limits)) own[ownVariable(key as SettingKey)] = value;
  return own;
}
