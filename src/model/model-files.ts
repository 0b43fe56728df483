/**
 * The files of a checkpoint that are not weights: configuration, tokenizer, chat template, remote code. They travel with
 * the weights, so that a pulled directory can be loaded as it is.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, sep } from 'node:path';
import { indexFileName } from './model-index.js';

/** A file of a model beside its weights. */
export interface ModelFile {
  readonly name: string;
  readonly path: string;
  /** Bytes. */
  readonly size: bigint;
}

/** A file that looks like a part of the checkpoint and does not travel all the same. */
export interface SkippedFile {
  readonly name: string;
  readonly reason: string;
}

/**
 * `.json` (config, generation_config, tokenizer, preprocessor, the index), `.txt` (merges, vocabularies), `.model`
 * (sentencepiece), `.tiktoken`, `.jinja` (chat templates), and `.py`: architectures that an engine does not have come as
 * Python files, which it runs only when told to trust them. Everything else (other weight formats, read-mes, hidden
 * files, directories) stays.
 */
const extensions: ReadonlySet<string> = new Set(['.json', '.txt', '.model', '.tiktoken', '.jinja', '.py']);

/** Bytes of one such file: 64 MiB. The largest tokenizers have 34 MB. */
export const maxModelFileBytes = 64n * 1024n * 1024n;

/**
 * The model files of a directory, by name. Indexes (`*.index.json`) count only when the weights were found by them.
 *
 * A symbolic link is followed only to a place inside of the directory, or to the `blobs` of the repository when the
 * directory is a snapshot in a Hugging Face cache: a link elsewhere would hand a file of this host to every peer.
 *
 * @throws System errors of reading the directory.
 */
export async function listModelFiles(dir: string, usesIndex: boolean): Promise<{ files: ModelFile[]; skipped: SkippedFile[] }> {
  const roots = await allowedRoots(dir);
  const files: ModelFile[] = [];
  const skipped: SkippedFile[] = [];
  for (const name of (await readdir(dir)).sort()) {
    if (name.startsWith('.') || !extensions.has(extname(name))) continue;
    if (name.endsWith('.index.json') && !(usesIndex && name === indexFileName)) continue;
    const path = join(dir, name);
    const real = await realpath(path).catch(() => undefined);
    const found = real === undefined ? undefined : await stat(real, { bigint: true });
    if (real === undefined || found === undefined) skipped.push({ name, reason: 'a symbolic link to nothing' });
    else if (!roots.some((root) => real.startsWith(root))) skipped.push({ name, reason: 'a symbolic link that leaves the directory' });
    else if (!found.isFile()) skipped.push({ name, reason: 'not a regular file' });
    else if (found.size > maxModelFileBytes)
      skipped.push({ name, reason: `${found.size} bytes, more than the limit of ${maxModelFileBytes}` });
    else files.push({ name, path, size: found.size });
  }
  return { files, skipped };
}

/** Directories, each with a `/` at its end. */
async function allowedRoots(dir: string): Promise<string[]> {
  const real = await realpath(dir);
  const roots = [real.endsWith(sep) ? real : real + sep];
  // <cache>/models--org--name/snapshots/<revision>: its files are links to ../../blobs/<hash>.
  const snapshots = dirname(real);
  if (basename(snapshots) === 'snapshots' && basename(dirname(snapshots)).startsWith('models--')) {
    roots.push(join(dirname(snapshots), 'blobs') + sep);
  }
  return roots;
}
