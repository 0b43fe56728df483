/** What a model is called when nobody said. */
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

/**
 * `_name_or_path` of config.json, else the base name of the directory (of the file, without its ending, for a single
 * file). A config.json that cannot be read or parsed is no reason to fail here: it is a file like others.
 */
export async function modelNameOf(model: string): Promise<string> {
  const path = resolve(model);
  const isDirectory = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => true,
  );
  const configured = await nameInConfig(join(isDirectory ? path : dirname(path), 'config.json'));
  return configured ?? basename(path, isDirectory ? '' : '.safetensors');
}

async function nameInConfig(file: string): Promise<string | undefined> {
  try {
    const config: unknown = JSON.parse(await readFile(file, 'utf8'));
    const name = typeof config === 'object' && config !== null && '_name_or_path' in config ? config._name_or_path : undefined;
    return typeof name === 'string' && name.trim() !== '' ? name : undefined;
  } catch {
    return undefined;
  }
}
