/** The command line's part of the configuration. */
import type { Given } from './layers.js';
import { flagName, settingKeys, settingOf } from './settings.js';

/** What commander makes of the flags: by camel-cased name. */
export type FlagValues = Readonly<Record<string, unknown>>;

/** `--listen` is host and port in one; `--verbose`, `--quiet` and `--json` are said of every command. */
export function fromFlags(flags: FlagValues): Given[] {
  const given: Given[] = [];
  const take = (key: Given['key'], raw: unknown, where: string): void => void given.push({ key, raw, origin: 'flag', where });
  for (const key of settingKeys) {
    const { flag } = settingOf(key);
    if (flag === undefined) continue;
    const name = flagName(flag);
    const raw = flags[camelCase(name)];
    if (raw !== undefined) take(key, raw, name);
  }
  if (typeof flags['listen'] === 'string') {
    const colon = flags['listen'].lastIndexOf(':');
    take('server.host', flags['listen'].slice(0, colon), '--listen');
    take('server.port', flags['listen'].slice(colon + 1), '--listen');
  }
  if (flags['json'] === true) take('logging.format', 'json', '--json');
  if (flags['verbose'] === true) take('logging.level', 'debug', '--verbose');
  if (flags['quiet'] === true) take('logging.level', 'error', '--quiet');
  return given;
}

function camelCase(flag: string): string {
  return flag.replace(/^--/, '').replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
