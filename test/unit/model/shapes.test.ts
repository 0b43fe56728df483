import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tensorBytes } from '#src/model/dtypes.js';
import {
  deepseekV3,
  deepseekV3Config,
  llama3_70b,
  llama3_70bConfig,
  qwen2_5_7b,
  qwen2_5_7bConfig,
  smallTensors,
  type DeepseekV3Options,
} from '#src/model/shapes/index.js';
import type { TensorSpec } from '#src/model/safetensors.js';
import { failsWith } from './support.js';

const total = (specs: readonly TensorSpec[]): bigint => specs.reduce((sum, { dtype, shape }) => sum + tensorBytes(dtype, shape), 0n);
const byName = (specs: readonly TensorSpec[]): Map<string, TensorSpec> => new Map(specs.map((spec) => [spec.name, spec]));
const shapeOf = (specs: ReadonlyMap<string, TensorSpec>, name: string): readonly number[] =>
  specs.get(name)?.shape ?? assert.fail(`no ${name}`);

// Counts and sizes of the published checkpoints, as their indexes and headers give them.
test('Qwen2.5-7B is the published model to the byte', () => {
  const specs = qwen2_5_7b();
  assert.equal(byName(specs).size, 339);
  assert.equal(specs.length, 339);
  assert.equal(total(specs), 15_231_233_024n);
  const named = byName(specs);
  assert.deepEqual(shapeOf(named, 'model.layers.27.self_attn.k_proj.weight'), [512, 3584]);
  assert.deepEqual(shapeOf(named, 'model.layers.0.self_attn.q_proj.bias'), [3584]);
  assert.deepEqual(shapeOf(named, 'lm_head.weight'), [152064, 3584]);
});

test('Llama 3 70B is the published model to the byte', () => {
  const specs = llama3_70b();
  assert.equal(byName(specs).size, 723);
  assert.equal(specs.length, 723);
  assert.equal(total(specs), 141_107_412_992n);
  const named = byName(specs);
  assert.deepEqual(shapeOf(named, 'model.layers.79.self_attn.v_proj.weight'), [1024, 8192]);
  assert.deepEqual(shapeOf(named, 'model.layers.0.mlp.down_proj.weight'), [8192, 28672]);
  assert.deepEqual(shapeOf(named, 'lm_head.weight'), [128256, 8192]);
  const { hidden_size, num_hidden_layers, vocab_size } = llama3_70bConfig({ scale: 8 });
  assert.deepEqual([hidden_size, num_hidden_layers, vocab_size], [1024, 80, 16032]);
  assert.deepEqual(shapeOf(byName(llama3_70b({ scale: 8 })), 'lm_head.weight'), [16032, 1024]);
});

test('DeepSeek-V3 as a whole is the published model to the byte', () => {
  const specs = deepseekV3({ tp: 1 });
  assert.equal(specs.length, 91_991);
  assert.equal(byName(specs).size, 91_991);
  assert.equal(total(specs), 688_574_839_360n);
  const named = byName(specs);
  assert.deepEqual(shapeOf(named, 'model.layers.0.self_attn.kv_a_proj_with_mqa.weight_scale_inv'), [5, 56]);
  assert.deepEqual(shapeOf(named, 'model.layers.60.mlp.experts.255.down_proj.weight'), [7168, 2048]);
  assert.deepEqual(shapeOf(named, 'model.layers.61.eh_proj.weight'), [7168, 14336]);
  assert.equal(named.get('model.layers.3.mlp.gate.e_score_correction_bias')?.dtype, 'F32');
});

/** Along which dimension a tensor is cut; `undefined`: it is on every rank. */
function cutOf(name: string): 0 | 1 | undefined {
  if (/\.experts\.|q_a_|kv_a_|norm|mlp\.gate\.|eh_proj/.test(name)) return undefined;
  return /o_proj|down_proj/.test(name) ? 1 : 0;
}

test('eight ranks of DeepSeek-V3 make the whole', () => {
  const whole = byName(deepseekV3({ tp: 1 }));
  const ranks = Array.from({ length: 8 }, (_, rank) => byName(deepseekV3({ tp: 8, rank })));
  const experts = new Set<string>();
  for (const rank of ranks) {
    assert.equal(rank.size, 12_695);
    for (const [name, { dtype, shape }] of rank) {
      const full = whole.get(name) ?? assert.fail(`${name} is not a tensor of the model`);
      assert.equal(dtype, full.dtype, name);
      if (name.includes('.experts.')) {
        assert.ok(!experts.has(name), `${name} is on two ranks`);
        experts.add(name);
      }
      const cut = cutOf(name);
      assert.deepEqual(
        shape.map((dimension, axis) => (axis === cut ? dimension * 8 : dimension)),
        full.shape,
        name,
      );
    }
  }
  assert.equal(experts.size, 59 * 256 * 6);
  assert.equal(ranks[7]?.has('model.layers.3.mlp.experts.224.up_proj.weight'), true);
  assert.equal(ranks[7].has('model.layers.3.mlp.experts.223.up_proj.weight'), false);
});

test('scaling keeps names, dtypes and order, and makes less of everything', () => {
  const reduced: DeepseekV3Options = { layers: 5, experts: 16, rank: 1 };
  for (const make of [(scale: number) => qwen2_5_7b({ scale }), (scale: number) => deepseekV3({ ...reduced, scale })]) {
    const whole = make(1);
    let last = total(whole);
    for (const scale of [2, 3, 7.5, 64, 1000]) {
      const specs = make(scale);
      assert.deepEqual(
        specs.map(({ name, dtype, shape }) => [name, dtype, shape.length]),
        whole.map(({ name, dtype, shape }) => [name, dtype, shape.length]),
      );
      assert.ok(specs.every(({ shape }) => shape.every((dimension) => Number.isInteger(dimension) && dimension >= 1)));
      assert.ok(total(specs) < last, `scale ${scale}`);
      last = total(specs);
    }
    assert.ok(last < 2_000_000n, `${last} bytes at scale 1000`);
  }
});

test('block scales match their own weights at every scale', () => {
  for (const scale of [1, 2, 3, 16, 500]) {
    const named = byName(deepseekV3({ scale, layers: 4, experts: 8, rank: 5 }));
    let pairs = 0;
    for (const [name, { dtype, shape }] of named) {
      if (dtype !== 'F8_E4M3') continue;
      const scales = named.get(`${name}_scale_inv`);
      assert.equal(scales?.dtype, 'F32', name);
      assert.deepEqual(
        scales.shape,
        shape.map((dimension) => Math.ceil(dimension / 128)),
        name,
      );
      pairs++;
    }
    assert.equal(pairs, [...named.keys()].filter((name) => name.endsWith('weight_scale_inv')).length);
    assert.ok(pairs > 40);
  }
});

test('fewer layers and experts leave the rest as it is; the prediction layer follows the last', () => {
  const named = byName(deepseekV3({ layers: 4, experts: 8, rank: 2 }));
  assert.ok(named.has('model.layers.4.eh_proj.weight') && !named.has('model.layers.5.input_layernorm.weight'));
  assert.ok(named.has('model.layers.3.mlp.experts.2.gate_proj.weight') && !named.has('model.layers.3.mlp.experts.3.gate_proj.weight'));
  assert.deepEqual(shapeOf(named, 'model.layers.3.mlp.gate.weight'), [8, 7168]);
  assert.ok(!byName(deepseekV3({ layers: 4, mtp: false })).has('model.layers.4.eh_proj.weight'));
});

test('configurations agree with the shapes', () => {
  for (const scale of [1, 3, 64]) {
    const qwen = qwen2_5_7bConfig({ scale });
    const weights = byName(qwen2_5_7b({ scale }));
    assert.deepEqual(shapeOf(weights, 'model.embed_tokens.weight'), [qwen['vocab_size'], qwen['hidden_size']]);
    assert.deepEqual(shapeOf(weights, 'model.layers.0.mlp.up_proj.weight'), [qwen['intermediate_size'], qwen['hidden_size']]);
    const options = { scale, layers: 4, experts: 16 };
    const config = deepseekV3Config(options);
    const share = byName(deepseekV3(options));
    assert.deepEqual(shapeOf(share, 'model.layers.0.mlp.up_proj.weight'), [
      (config['intermediate_size'] as number) / 8,
      config['hidden_size'],
    ]);
    assert.deepEqual(shapeOf(share, 'lm_head.weight'), [(config['vocab_size'] as number) / 8, config['hidden_size']]);
    assert.equal(config['n_routed_experts'], 16);
    assert.equal(config['num_hidden_layers'], 4);
  }
  assert.equal(qwen2_5_7bConfig()['hidden_size'], 3584);
  assert.equal(deepseekV3Config()['vocab_size'], 129280);
});

test('refuses options outside of their ranges', () => {
  for (const scale of [0, 0.5, -1, Number.NaN, Infinity]) {
    assert.throws(() => qwen2_5_7b({ scale }), failsWith('ERR_INVALID_ARGUMENT', /≥ 1 for scale/));
  }
  const bad: DeepseekV3Options[] = [
    { tp: 3 },
    { tp: 32 },
    { rank: 8 },
    { rank: -1 },
    { rank: 0.5 },
    { layers: 0 },
    { layers: 62 },
    { experts: 12 },
    { experts: 264 },
    { experts: 0 },
  ];
  for (const options of bad) {
    assert.throws(() => deepseekV3(options), failsWith('ERR_INVALID_ARGUMENT', /but received/), JSON.stringify(options));
  }
});

test('small tensors are as many and as large as asked', () => {
  const specs = smallTensors({ count: 120_000, bytes: 64 });
  assert.equal(byName(specs).size, 120_000);
  assert.equal(total(specs), 120_000n * 64n);
  assert.equal(specs[7]?.name, 'tensor.000007');
  assert.deepEqual(smallTensors({ count: 1, bytes: 3, dtype: 'F6_E2M3' })[0]?.shape, [4]);
  assert.equal(total(smallTensors({ count: 5, bytes: 0 })), 0n);
  assert.throws(() => smallTensors({ count: 1, bytes: 3 }), failsWith('ERR_INVALID_ARGUMENT', /whole elements of BF16/));
  assert.throws(() => smallTensors({ count: 0, bytes: 2 }), failsWith('ERR_INVALID_ARGUMENT', /count/));
});
