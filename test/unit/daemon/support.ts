import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fromFlags } from '#src/daemon/config/flags.js';
import { type ResolvedConfig, resolveConfig } from '#src/daemon/config/resolve.js';

export interface Layers {
  /** As commander hands them over: camel-cased. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** The text of a file. */
  readonly yaml?: string;
}

/** The layers' configuration; the file is `config.yaml` in a folder of its own. */
export async function resolve(test: TestContext, { flags = {}, env = {}, yaml = '' }: Layers): Promise<ResolvedConfig> {
  return resolveConfig({ flags: fromFlags(flags), env, file: await configFile(test, yaml) });
}

/** A file with this text, gone with the test. */
export async function configFile(test: TestContext, yaml: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weightcast-config-'));
  test.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'config.yaml');
  await writeFile(file, yaml);
  return file;
}

export function valueOf(config: ResolvedConfig, key: string): { readonly value: unknown; readonly origin: string; readonly where: string } {
  const found = config.values.find((value) => value.key === key);
  if (found === undefined) throw new Error(`no value of ${key}`);
  return found;
}
