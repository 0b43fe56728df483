/**
 * Against the reference implementation: the Python package `safetensors`. `WEIGHTCAST_PYTHON` is the path of a Python
 * that has it, and numpy.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { WeightcastError } from '#src/errors.js';
import { dtypes } from '#src/model/dtypes.js';
import { generateModel } from '#src/model/generate.js';
import { openModel, type Model } from '#src/model/model.js';
import { readHeader, type TensorSpec } from '#src/model/safetensors.js';
import { deepseekV3, qwen2_5_7b } from '#src/model/shapes/index.js';

const python = process.env['WEIGHTCAST_PYTHON'] ?? '';
// From build/test/integration/model, where this file is compiled to.
const script = fileURLToPath(new URL('../../../../test/integration/model/reference.py', import.meta.url));

/** Why there is nothing to compare with; `false` when there is. */
function whySkip(): string | false {
  if (python === '') return 'WEIGHTCAST_PYTHON does not name a Python with safetensors and numpy';
  const { status, error, stderr } = spawnSync(python, ['-c', 'import safetensors.numpy'], { encoding: 'utf8' });
  return status === 0 ? false : `${python} has no safetensors or numpy: ${error?.message ?? stderr.trim().split('\n').at(-1) ?? ''}`;
}

function reference(...args: string[]): unknown {
  return JSON.parse(execFileSync(python, [script, ...args], { maxBuffer: 1 << 28, encoding: 'utf8' }));
}

type Description = Record<string, [dtype: string, shape: number[], sha256: string]>;

async function ourDescription(model: Model): Promise<[string, Description[string]][]> {
  const contents = await Promise.all(model.weightFiles.map(({ path }) => readFile(path)));
  return model.tensors.map(({ name, dtype, shape, file, offset, bytes }) => {
    const begin = Number(model.weightFiles[file]!.dataOffset + offset);
    const sha256 = createHash('sha256')
      .update(contents[file]!.subarray(begin, begin + Number(bytes)))
      .digest('hex');
    return [name, [dtype, [...shape], sha256]];
  });
}

const sorted = <T>(entries: Iterable<[string, T]>): [string, T][] => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));

async function temporaryDirectory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'weightcast-reference-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const skip = whySkip();
if (skip !== false) console.log(`skipped: ${skip}`);

describe('the reference implementation', { skip }, () => {
  const everyDtype: TensorSpec[] = dtypes.flatMap((dtype) => [
    { name: `${dtype}.matrix`, dtype, shape: [3, 8] },
    { name: `${dtype}.none`, dtype, shape: [0, 2] },
  ]);
  const models: Record<string, readonly TensorSpec[]> = {
    'Qwen2.5-7B': qwen2_5_7b({ scale: 64 }),
    'DeepSeek-V3': deepseekV3({ scale: 64, layers: 4, experts: 16, rank: 1 }),
    'every dtype': [...everyDtype, { name: '__proto__', dtype: 'F32', shape: [] }],
  };
  for (const [name, specs] of Object.entries(models)) {
    test(`reads a generated ${name} as we do`, async (t) => {
      const dir = await temporaryDirectory(t);
      await generateModel(dir, specs, { maxFileBytes: 1_000_000 });
      const model = await openModel(dir);
      const theirs = Object.values(reference('describe', ...model.weightFiles.map(({ path }) => path)) as Record<string, Description>);
      assert.equal(theirs.length, model.weightFiles.length);
      assert.deepEqual(sorted(theirs.flatMap((file) => Object.entries(file))), sorted(await ourDescription(model)));
      assert.equal(model.tensors.length, specs.length);
    });
  }

  test('writes what we read as it does', async (t) => {
    const dir = await temporaryDirectory(t);
    const theirs = reference('write', dir) as Description;
    const ours = await ourDescription(await openModel(dir));
    assert.equal(ours.length, 16);
    assert.deepEqual(sorted(ours), sorted(Object.entries(theirs)));
  });

  test('refuses and accepts the same files', async (t) => {
    const dir = await temporaryDirectory(t);
    const files = fc.sample(damagedFile, { numRuns: 1500, seed: 4711 });
    for (const [index, content] of files.entries()) await writeFile(join(dir, String(index)), content);
    const theirs = reference('verdict', dir) as Record<string, string | null>;
    let accepted = 0;
    for (const [index, content] of files.entries()) {
      const ours = await readHeader(join(dir, String(index))).then(
        () => null,
        (error: unknown) =>
          error instanceof WeightcastError && error.code === 'ERR_MODEL_INVALID' ? error.message : assert.fail(String(error)),
      );
      if (ours === null) accepted++;
      // The one rule of ours that is stricter and that these files can meet.
      if (ours?.includes('duplicate key') === true) continue;
      const shown = content.toString('latin1', 8);
      assert.equal(
        ours === null,
        theirs[String(index)] === null,
        `${shown}\nours: ${String(ours)}\ntheirs: ${String(theirs[String(index)])}`,
      );
    }
    assert.ok(accepted > 200 && accepted < 1300, `${accepted} of 1500 accepted: too few of a kind to compare`);
  });
});

const dimension = fc.oneof({ weight: 6, arbitrary: fc.nat(8) }, fc.constantFrom<unknown>(-1, 1.5, '4', 2 ** 40, 2 ** 64, null));
/** One way to spoil a tensor's description, or a harmless change. */
const damage: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  fc.record({ dtype: fc.constantFrom<unknown>(...dtypes, 'Q4', 'u8', 3, null) }),
  fc.record({ shape: fc.oneof(fc.array(dimension, { maxLength: 3 }), fc.constantFrom<unknown>(null, 4, 'x')) }),
  fc.record({ data_offsets: fc.array(dimension, { maxLength: 3 }) }),
  fc.record({ extra: fc.jsonValue({ maxDepth: 1 }) }),
  fc.constantFrom({ dtype: undefined }, { shape: undefined }, { data_offsets: undefined }),
);

/** A small valid file, of which most of the time one tensor, the header text, the length or the data is changed. */
const damagedFile: fc.Arbitrary<Buffer> = fc
  .record({
    sizes: fc.array(fc.nat(6), { maxLength: 4 }),
    order: fc.boolean(),
    damage,
    victim: fc.nat(3),
    metadata: fc.constantFrom<unknown>(undefined, undefined, { format: 'pt' }, { n: 1 }, null, 'x'),
    byte: fc.option(fc.tuple(fc.nat(200), fc.constantFrom(...Array.from('{}[]",:0129 e-\\\n\0xé'))), { freq: 4 }),
    frame: fc.constantFrom('', '', '', '', ' ', '\n', '\0', '{}'),
    data: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, -1),
  })
  .map(({ sizes, order, damage, victim, metadata, byte, frame, data }) => {
    let end = 0;
    const tensors = sizes.map((size, index): [string, object] => {
      const tensor = { dtype: 'U8', shape: [size], data_offsets: [end, (end += size)] };
      return [`t${index}`, index === victim ? { ...tensor, ...damage } : tensor];
    });
    if (order) tensors.reverse();
    const header = Object.fromEntries(metadata === undefined ? tensors : [['__metadata__', metadata], ...tensors]);
    let text = JSON.stringify(header) + frame;
    if (byte !== null && byte[0] < text.length) text = text.slice(0, byte[0]) + byte[1] + text.slice(byte[0] + 1);
    const json = Buffer.from(text);
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(json.length));
    return Buffer.concat([prefix, json, Buffer.alloc(Math.max(0, end + data))]);
  });
