/** All layers together → what the daemon is started with, and where each value came from. */
import { WeightcastError } from '../../errors.js';
import { contradictions, type DaemonConfig, toDaemonConfig, warningsOf } from './daemon-config.js';
import { type CompleteValues, defaultsFor, isAuthenticated } from './defaults.js';
import { readConfigFile } from './file.js';
import { type Environment, fromEnvironment, fromFile, type Given, redisFrom, variable } from './layers.js';
import { check, type Values } from './schema.js';
import { type SettingKey, settingKeys } from './settings.js';

export interface ResolvedValue {
  readonly key: SettingKey;
  /** In the program's form: times in milliseconds; undefined: none. */
  readonly value: unknown;
  readonly origin: Given['origin'] | 'default';
  /** `--port`, `MX_GC_TIMEOUT_SECS`, `weightcast.yaml:3`; of a default why it is that one, if there is something to say. */
  readonly where: string;
}

export interface ResolvedConfig {
  readonly config: DaemonConfig;
  /** Every setting, in the order of `settings.ts`. */
  readonly values: readonly ResolvedValue[];
  /** The configuration file, if one was read. */
  readonly file: string | undefined;
  readonly warnings: readonly string[];
}

export interface ConfigInput {
  readonly flags: readonly Given[];
  readonly env: Environment;
  /** `--config`; default: `WEIGHTCAST_CONFIG`, else the first of the usual files. */
  readonly file?: string | undefined;
}

/**
 * Flag before environment before file before default. Every value that is given must be good, also one that another
 * one overrides.
 *
 * @throws ERR_CONFIG with everything that is wrong, a line each; ERR_INVALID_ARGUMENT when only flags are.
 */
export async function resolveConfig({ flags, env, file: named }: ConfigInput): Promise<ResolvedConfig> {
  const file = await readConfigFile(named ?? variable(env, 'WEIGHTCAST_CONFIG'));
  const taken = new Taken();
  for (const problem of file?.problems ?? []) taken.complain('file', problem);
  for (const given of [...flags, ...fromEnvironment(env), ...fromFile(file)]) taken.take(given);
  if (taken.values['store.kind'] === 'redis' && taken.originOf('store.redis_url') !== 'flag') {
    const given = redisFrom(env);
    if (given !== undefined) taken.take(given, true);
  }
  taken.throwIfBad();

  const given = taken.values;
  const defaults = defaultsFor(given);
  const values = settingKeys.map((key): ResolvedValue => {
    const { value, because = '' } = defaults[key];
    return taken.resolved(key) ?? { key, value, origin: 'default', where: because };
  });
  const complete = Object.fromEntries(values.map(({ key, value }) => [key, value])) as CompleteValues;
  for (const [about, text] of contradictions(complete)) taken.complain(taken.originOf(about) ?? 'file', text);
  taken.throwIfBad();

  const warnings = [...(file?.warnings ?? []), ...taken.warnings, ...warningsOf(complete, isAuthenticated(given))];
  const httpPortGiven = taken.originOf('http.port') !== undefined;
  return { config: toDaemonConfig(complete, httpPortGiven), values, file: file?.path, warnings };
}

/** The first good value of each setting, and what was wrong with others. */
class Taken {
  readonly warnings: string[] = [];
  readonly #resolved = new Map<SettingKey, ResolvedValue>();
  readonly #problems: string[] = [];
  #onlyFlags = true;

  /** @param replace also when there is one already. */
  take({ key, raw, origin, where, lenient }: Given, replace = false): void {
    const checked = check(key, raw);
    if ('value' in checked) {
      if (replace || !this.#resolved.has(key)) this.#resolved.set(key, { key, value: checked.value, origin, where });
    } else if (lenient === true) {
      this.warnings.push(`${where}: ${checked.problem}; it is ignored`);
    } else {
      this.complain(origin, `${where}: ${checked.problem}`);
    }
  }

  complain(origin: Given['origin'], problem: string): void {
    this.#problems.push(problem);
    this.#onlyFlags &&= origin === 'flag';
  }

  get values(): Values {
    return Object.fromEntries([...this.#resolved].map(([key, { value }]) => [key, value]));
  }

  resolved(key: SettingKey): ResolvedValue | undefined {
    return this.#resolved.get(key);
  }

  originOf(key: SettingKey): Given['origin'] | undefined {
    const origin = this.#resolved.get(key)?.origin;
    return origin === 'default' ? undefined : origin;
  }

  throwIfBad(): void {
    if (this.#problems.length === 0) return;
    throw new WeightcastError(this.#onlyFlags ? 'ERR_INVALID_ARGUMENT' : 'ERR_CONFIG', this.#problems.join('\n'));
  }
}
