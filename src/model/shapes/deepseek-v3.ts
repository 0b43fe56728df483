/**
 * DeepSeek-V3 as published, cut for one rank of a tensor-parallel group with expert parallelism. FP8 E4M3 weights with
 * one F32 scale per 128 × 128 block; 61 layers, the first 3 dense, then the multi-token prediction layer 61. As a whole
 * (tp 1) 91 991 tensors, 688 574 839 360 bytes; a rank of 8 has 12 695. Numbers from the model's `config.json`; names
 * and dtypes as in its checkpoint.
 */
import { WeightcastError } from '../../errors.js';
import type { TensorSpec } from '../tensor.js';
import { requireWhole, scaler, type ScaleOptions } from './scale.js';

/** Which part of the model, and how much of it. */
export interface DeepseekV3Options extends ScaleOptions {
  /** Ranks of the tensor-parallel group: 1, 2, 4, 8 or 16, what keeps blocks of 128 whole; default 8. */
  readonly tp?: number;
  /** 0 … tp - 1; default 0. */
  readonly rank?: number;
  /** Layers kept, beside the prediction layer, which follows them under the next number: 1 … 61; default 61. */
  readonly layers?: number;
  /** Routed experts of a layer, all ranks together: a multiple of tp, at most 256; default 256. */
  readonly experts?: number;
  /** Whether the multi-token prediction layer is there; default true. */
  readonly mtp?: boolean;
}

const published = { layers: 61, denseLayers: 3, experts: 256, heads: 128 };
const block = 128;

type Dimensions = ReturnType<typeof dimensions>;

/** `…Share` is what one rank has of a dimension that is cut. */
function dimensions(options: DeepseekV3Options) {
  const { scale = 1, tp = 8, rank = 0, layers = published.layers, experts = published.experts, mtp = true } = options;
  const scaled = scaler(scale);
  if (![1, 2, 4, 8, 16].includes(tp)) throw invalid(`expected 1, 2, 4, 8 or 16 for tp but received ${tp}`);
  requireWhole('rank', rank, 0, tp - 1);
  requireWhole('layers', layers, 1, published.layers);
  requireWhole('experts', experts, tp, published.experts);
  if (experts % tp !== 0) throw invalid(`expected a multiple of tp (${tp}) for experts but received ${experts}`);
  return {
    tp,
    rank,
    layers,
    experts,
    mtp,
    hidden: scaled(7168),
    queryRank: scaled(1536),
    keyValueRank: scaled(512),
    nope: scaled(128),
    rope: scaled(64),
    value: scaled(128),
    headShare: published.heads / tp,
    denseShare: scaled(18432 / tp),
    expertIntermediate: scaled(2048),
    sharedExpertShare: scaled(2048 / tp),
    vocabularyShare: scaled(129280 / tp),
  };
}

/** Collects the tensors of a rank. */
class SpecList {
  readonly specs: TensorSpec[] = [];

  /** A block-quantised matrix: the weight and its scales. */
  fp8(name: string, rows: number, columns: number): void {
    this.specs.push({ name: `${name}.weight`, dtype: 'F8_E4M3', shape: [rows, columns] });
    this.specs.push({ name: `${name}.weight_scale_inv`, dtype: 'F32', shape: [Math.ceil(rows / block), Math.ceil(columns / block)] });
  }

  bf16(name: string, ...shape: number[]): void {
    this.specs.push({ name: `${name}.weight`, dtype: 'BF16', shape });
  }

  mlp(name: string, intermediate: number, hidden: number): void {
    this.fp8(`${name}.gate_proj`, intermediate, hidden);
    this.fp8(`${name}.up_proj`, intermediate, hidden);
    this.fp8(`${name}.down_proj`, hidden, intermediate);
  }
}

/**
 * The tensors of one rank, under their checkpoint names (engines fuse some of them when they load).
 *
 * - Cut by output rows, rank r has the r-th of tp equal parts: `q_b_proj`, `kv_b_proj` (by heads), `gate_proj` and
 *   `up_proj` of dense layers and of the shared expert, `embed_tokens`, `lm_head`, `shared_head.head` (by vocabulary).
 * - Cut by input columns: `o_proj`, `down_proj` of dense layers and of the shared expert.
 * - Expert parallel: rank r has experts r·n/tp … (r+1)·n/tp - 1, whole, under their global numbers.
 * - On every rank: `q_a_proj`, `kv_a_proj_with_mqa`, the router (`mlp.gate`), all norms, `eh_proj`.
 *
 * Block scales are cut with their weights: every cut falls between blocks of 128 at scale 1. When scaled, blocks stay
 * 128 × 128, so that a scale tensor has ⌈rows/128⌉ × ⌈columns/128⌉ of its rank's own, scaled weight.
 *
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` for options outside of their ranges.
 */
export function deepseekV3(options: DeepseekV3Options = {}): TensorSpec[] {
  const d = dimensions(options);
  const list = new SpecList();
  list.bf16('model.embed_tokens', d.vocabularyShare, d.hidden);
  for (let layer = 0; layer < d.layers; layer++) addLayer(list, d, `model.layers.${layer}`, layer < published.denseLayers);
  list.bf16('model.norm', d.hidden);
  list.bf16('lm_head', d.vocabularyShare, d.hidden);
  if (d.mtp) addPredictionLayer(list, d, `model.layers.${d.layers}`);
  return list.specs;
}

function addLayer(list: SpecList, d: Dimensions, at: string, dense: boolean): void {
  list.bf16(`${at}.input_layernorm`, d.hidden);
  list.fp8(`${at}.self_attn.q_a_proj`, d.queryRank, d.hidden);
  list.bf16(`${at}.self_attn.q_a_layernorm`, d.queryRank);
  list.fp8(`${at}.self_attn.q_b_proj`, d.headShare * (d.nope + d.rope), d.queryRank);
  list.fp8(`${at}.self_attn.kv_a_proj_with_mqa`, d.keyValueRank + d.rope, d.hidden);
  list.bf16(`${at}.self_attn.kv_a_layernorm`, d.keyValueRank);
  list.fp8(`${at}.self_attn.kv_b_proj`, d.headShare * (d.nope + d.value), d.keyValueRank);
  list.fp8(`${at}.self_attn.o_proj`, d.hidden, d.headShare * d.value);
  list.bf16(`${at}.post_attention_layernorm`, d.hidden);
  if (dense) list.mlp(`${at}.mlp`, d.denseShare, d.hidden);
  else addExperts(list, d, `${at}.mlp`);
}

function addExperts(list: SpecList, d: Dimensions, at: string): void {
  list.bf16(`${at}.gate`, d.experts, d.hidden);
  list.specs.push({ name: `${at}.gate.e_score_correction_bias`, dtype: 'F32', shape: [d.experts] });
  const share = d.experts / d.tp;
  for (let expert = d.rank * share; expert < (d.rank + 1) * share; expert++) {
    list.mlp(`${at}.experts.${expert}`, d.expertIntermediate, d.hidden);
  }
  list.mlp(`${at}.shared_experts`, d.sharedExpertShare, d.hidden);
}

function addPredictionLayer(list: SpecList, d: Dimensions, at: string): void {
  list.bf16(`${at}.embed_tokens`, d.vocabularyShare, d.hidden);
  list.bf16(`${at}.enorm`, d.hidden);
  list.bf16(`${at}.hnorm`, d.hidden);
  list.bf16(`${at}.eh_proj`, d.hidden, 2 * d.hidden);
  addLayer(list, d, at, false);
  list.bf16(`${at}.shared_head.norm`, d.hidden);
  list.bf16(`${at}.shared_head.head`, d.vocabularyShare, d.hidden);
}

/** The `config.json` of the whole model of which {@link deepseekV3} with the same options gives one rank. */
export function deepseekV3Config(options: DeepseekV3Options = {}): Record<string, unknown> {
  const d = dimensions(options);
  const grouped = d.experts === published.experts;
  return {
    architectures: ['DeepseekV3ForCausalLM'],
    bos_token_id: 0,
    eos_token_id: 1,
    first_k_dense_replace: Math.min(published.denseLayers, d.layers),
    hidden_act: 'silu',
    hidden_size: d.hidden,
    intermediate_size: d.denseShare * d.tp,
    kv_lora_rank: d.keyValueRank,
    max_position_embeddings: 163840,
    model_type: 'deepseek_v3',
    moe_intermediate_size: d.expertIntermediate,
    moe_layer_freq: 1,
    n_group: grouped ? 8 : 1,
    n_routed_experts: d.experts,
    n_shared_experts: 1,
    norm_topk_prob: true,
    num_attention_heads: published.heads,
    num_experts_per_tok: Math.min(8, d.experts),
    num_hidden_layers: d.layers,
    num_key_value_heads: published.heads,
    num_nextn_predict_layers: d.mtp ? 1 : 0,
    q_lora_rank: d.queryRank,
    qk_nope_head_dim: d.nope,
    qk_rope_head_dim: d.rope,
    quantization_config: { activation_scheme: 'dynamic', fmt: 'e4m3', quant_method: 'fp8', weight_block_size: [block, block] },
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    routed_scaling_factor: 2.5,
    scoring_func: 'sigmoid',
    tie_word_embeddings: false,
    topk_group: grouped ? 4 : 1,
    topk_method: 'noaux_tc',
    torch_dtype: 'bfloat16',
    v_head_dim: d.value,
    vocab_size: d.vocabularyShare * d.tp,
  };
}

function invalid(what: string): WeightcastError {
  return new WeightcastError('ERR_INVALID_ARGUMENT', what);
}
