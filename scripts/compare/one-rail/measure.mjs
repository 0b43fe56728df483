// `pull` over one queue pair beside a peer (peers.mjs), on one Soft-RoCE device in one boot.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from '../../testing/shell.mjs';
import { versionOf } from '../processes.mjs';
import { reportRates } from '../rates.mjs';
import { folder, loadBefore, saveRecord } from '../record.mjs';

/** Qwen2.5-7B with every dimension divided by this: about 310 MB, at least {@link LEAST_BYTES}. */
const MODEL_SCALE = 7;
const LEAST_BYTES = 256 * 1024 * 1024;

const model = path.join(folder, 'model');

/**
 * Measures, prints and saves.
 * @param {string} name of the comparison
 * @param {{ title: string, peer: string, runs: number, leastRatios: Record<number, number>, caveats: string[] }} what `leastRatios`: by
 * bytes of a read, ours over the peer's, by the medians of the rates
 * @returns {Promise<boolean>} whether the ratios are at least `leastRatios`
 */
export async function measureBeside(name, { title, peer, runs: count, leastRatios, caveats }) {
  await makeModel();
  const loadAverageBefore = loadBefore();
  const measured = path.join(folder, `${name}-guest`);
  rmSync(measured, { recursive: true, force: true });
  const machine = ['--hosts', '1', '--rails', '1', '--memory', '6144', '--timeout', '1500', '--out', measured];
  const inside = ['node', 'scripts/compare/one-rail/guest.mjs', model, peer, `${count}`, ...Object.keys(leastRatios)];
  if (!(await run(['scripts/softroce-vm', ...machine, '--', ...inside]))) throw new Error('the measurement inside the machine failed');
  const { runs, commands, versions } = JSON.parse(readFileSync(path.join(measured, 'runs.json'), 'utf8'));
  for (const { bytes } of runs) if (bytes < LEAST_BYTES) throw new Error(`a run moved ${bytes} bytes, which is too few to count`);
  const sizes = Object.entries(leastRatios).map(([size, least]) => ({
    size: Number(size),
    ...reportRates(
      `reads of ${Number(size) / 1024} KiB`,
      runs.filter((entry) => entry.size === Number(size)),
      { [peer]: least },
    ),
  }));
  const holds = sizes.every((size) => size.holds);
  saveRecord(name, {
    title,
    unit: 'GB/s, 1 GB = 1e9 bytes; ours is bytes over the wire phase, theirs is the average that the tool prints',
    holds,
    sizes,
    loadAverageBefore,
    runs,
    commands,
    versions: { ...versions, qemu: versionOf('qemu-system-x86_64', '--version') },
    caveats: ['Soft-RoCE under emulation: only the ratio means anything, not the rates', ...caveats],
  });
  return holds;
}

async function makeModel() {
  const complete = path.join(model, '.complete');
  const wanted = `qwen2_5_7b scale ${MODEL_SCALE}`;
  if (existsSync(complete) && readFileSync(complete, 'utf8') === wanted) return;
  console.log(`making a model of ${wanted}`);
  const { generateModel } = await import('../../../dist/model/generate.js');
  const { qwen2_5_7b } = await import('../../../dist/model/shapes/index.js');
  rmSync(model, { recursive: true, force: true });
  await generateModel(model, qwen2_5_7b({ scale: MODEL_SCALE }));
  writeFileSync(complete, wanted);
}
