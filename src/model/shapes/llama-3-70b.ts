/**
 * Llama 3 70B as published: BF16, one rank, 723 tensors, 141 107 412 992 bytes. Numbers from the model's `config.json`;
 * names as in its checkpoint.
 */
import type { TensorSpec } from '../tensor.js';
import { scaler, type ScaleOptions } from './scale.js';

const layers = 80;
const heads = 64;
const keyValueHeads = 8;

/** Hidden size is heads × head size here, and stays so when scaled. */
function dimensions(options: ScaleOptions): { head: number; hidden: number; keyValue: number; intermediate: number; vocabulary: number } {
  const scaled = scaler(options.scale ?? 1);
  const head = scaled(128);
  return {
    head,
    hidden: heads * head,
    keyValue: keyValueHeads * head,
    intermediate: scaled(28672),
    vocabulary: scaled(128256),
  };
}

/**
 * The tensors of Llama 3 70B, TP = 1: no biases, and an output matrix of its own.
 *
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` for a scale below 1.
 */
export function llama3_70b(options: ScaleOptions = {}): TensorSpec[] {
  const { hidden, keyValue, intermediate, vocabulary } = dimensions(options);
  const specs: TensorSpec[] = [];
  const add = (name: string, ...shape: number[]): void => void specs.push({ name, dtype: 'BF16', shape });
  add('model.embed_tokens.weight', vocabulary, hidden);
  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}`;
    add(`${at}.input_layernorm.weight`, hidden);
    add(`${at}.self_attn.q_proj.weight`, hidden, hidden);
    add(`${at}.self_attn.k_proj.weight`, keyValue, hidden);
    add(`${at}.self_attn.v_proj.weight`, keyValue, hidden);
    add(`${at}.self_attn.o_proj.weight`, hidden, hidden);
    add(`${at}.post_attention_layernorm.weight`, hidden);
    add(`${at}.mlp.gate_proj.weight`, intermediate, hidden);
    add(`${at}.mlp.up_proj.weight`, intermediate, hidden);
    add(`${at}.mlp.down_proj.weight`, hidden, intermediate);
  }
  add('model.norm.weight', hidden);
  add('lm_head.weight', vocabulary, hidden);
  return specs;
}

/** The `config.json` that belongs to {@link llama3_70b} of the same options. */
export function llama3_70bConfig(options: ScaleOptions = {}): Record<string, unknown> {
  const { head, hidden, intermediate, vocabulary } = dimensions(options);
  return {
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: 0,
    eos_token_id: 0,
    head_dim: head,
    hidden_act: 'silu',
    hidden_size: hidden,
    initializer_range: 0.02,
    intermediate_size: intermediate,
    max_position_embeddings: 8192,
    model_type: 'llama',
    num_attention_heads: heads,
    num_hidden_layers: layers,
    num_key_value_heads: keyValueHeads,
    rms_norm_eps: 1e-5,
    rope_theta: 500_000,
    tie_word_embeddings: false,
    torch_dtype: 'bfloat16',
    use_cache: true,
    vocab_size: vocabulary,
  };
}
