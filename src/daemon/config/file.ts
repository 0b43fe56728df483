/** The configuration file: where it is, and its values with their lines. */
import { readFile } from 'node:fs/promises';
import { isMap, isScalar, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { WeightcastError } from '../../errors.js';
import { nearest } from './nearest.js';
import { type SettingKey, settingKeys } from './settings.js';

/** Looked for in this order when nobody named a file. ModelExpress' names come last. */
export const usualFiles = [
  'weightcast.yaml',
  'weightcast.yml',
  '/etc/weightcast/config.yaml',
  '/etc/weightcast/config.yml',
  'model-express.yaml',
  'model-express.yml',
  '/etc/model-express/config.yaml',
  '/etc/model-express/config.yml',
] as const;

/** What a file of ModelExpress may say that means nothing here: the model cache, and where its log goes. */
const meaningless = ['cache', 'logging.file', 'logging.structured'];

export interface FileValue {
  readonly key: SettingKey;
  /** As YAML has it: text, number, boolean, list, map or null. */
  readonly raw: unknown;
  /** `weightcast.yaml:3` */
  readonly where: string;
}

export interface ConfigFile {
  readonly path: string;
  readonly values: readonly FileValue[];
  /** "FILE:LINE: …" */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Reads the file that was named, else the first of the usual ones; `undefined` when there is none.
 *
 * @throws ERR_CONFIG when a file that was named, or one that is there, cannot be read.
 */
export async function readConfigFile(named: string | undefined): Promise<ConfigFile | undefined> {
  for (const path of named === undefined ? usualFiles : [named]) {
    const text = await textOf(path, named !== undefined);
    if (text !== undefined) return parseConfig(path, text);
  }
  return undefined;
}

async function textOf(path: string, required: boolean): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!required && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    const reason = code === 'ENOENT' ? 'there is no such file' : error instanceof Error ? error.message : String(error);
    throw new WeightcastError('ERR_CONFIG', `cannot read the configuration file ${path}: ${reason}`, { cause: error, file: path });
  }
}

/** Never throws: what is wrong is in `problems`. @param path only for messages. */
export function parseConfig(path: string, text: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const values: FileValue[] = [];
  const warnings: string[] = [];
  const problems = document.errors.map((error) => `${path}:${String(lines.linePos(error.pos[0]).line)}: ${error.message}`);
  const whereOf = (node: unknown): string => {
    const start = (node as Node | null | undefined)?.range?.[0];
    return start === undefined ? path : `${path}:${String(lines.linePos(start).line)}`;
  };

  /** Takes a section apart. An empty one holds nothing. */
  function walk(map: YAMLMap, prefix: string): void {
    for (const { key, value } of map.items) {
      const name = prefix + String(isScalar(key) ? key.value : key);
      const where = whereOf(key);
      const setting = settingKeys.find((candidate) => candidate === name);
      if (setting !== undefined && prefix === '') problems.push(`${where}: write ${name} as a section and a name under it`);
      else if (setting !== undefined) take(setting, value, where);
      else if (meaningless.includes(name)) warnings.push(`${where}: ${name} has no meaning here and is ignored`);
      else if (prefix !== '' || !sections.includes(name)) problems.push(`${where}: ${unknown(name)}`);
      else if (isMap(value)) walk(value, `${name}.`);
      else if (!isEmpty(value)) problems.push(`${where}: expected settings under ${name}, each on a line of its own`);
    }
  }
  function take(key: SettingKey, value: unknown, where: string): void {
    try {
      // Aliases become what they stand for; too many of them are an attack, and throw.
      values.push({ key, raw: value === null ? null : (value as Node).toJS(document), where });
    } catch (error) {
      problems.push(`${where}: ${key}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  if (problems.length === 0) {
    if (isMap(document.contents)) walk(document.contents, '');
    else if (!isEmpty(document.contents)) problems.push(`${path}:1: expected sections (${sections.join(', ')}) with settings`);
  }
  return { path, values, problems, warnings };
}

const sections = [...new Set(settingKeys.map((key) => key.slice(0, key.indexOf('.'))))];

function isEmpty(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

function unknown(name: string): string {
  const guess = nearest(name, name.includes('.') ? settingKeys : [...sections, ...settingKeys]);
  return `unknown setting ${name}${guess === undefined ? '' : `; did you mean ${guess}?`}`;
}
