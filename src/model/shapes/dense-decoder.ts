/** Decoders of the Llama family without experts: what their published checkpoints have in common. */
import type { TensorSpec } from '../tensor.js';
import { scaler, type ScaleOptions } from './scale.js';

/** As the model's `config.json` has it. Hidden size is heads × head size, and stays so when scaled. */
export interface DenseDecoder {
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  /** Whether the projections to queries, keys and values have biases. */
  readonly attentionBias: boolean;
}

interface Dimensions {
  readonly head: number;
  readonly hidden: number;
  readonly keyValue: number;
  readonly intermediate: number;
  readonly vocabulary: number;
}

function dimensionsOf(model: DenseDecoder, options: ScaleOptions): Dimensions {
  const scaled = scaler(options.scale ?? 1);
  const head = scaled(model.headSize);
  return {
    head,
    hidden: model.heads * head,
    keyValue: model.keyValueHeads * head,
    intermediate: scaled(model.intermediate),
    vocabulary: scaled(model.vocabulary),
  };
}

/**
 * BF16, one rank, an output matrix of its own; names as in the checkpoint.
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` for a scale below 1.
 */
export function denseDecoderTensors(model: DenseDecoder, options: ScaleOptions): TensorSpec[] {
  const { hidden, keyValue, intermediate, vocabulary } = dimensionsOf(model, options);
  const specs: TensorSpec[] = [];
  const add = (name: string, ...shape: number[]): void => void specs.push({ name, dtype: 'BF16', shape });
  add('model.embed_tokens.weight', vocabulary, hidden);
  for (let layer = 0; layer < model.layers; layer++) {
    const at = `model.layers.${layer}`;
    const project = (name: string, rows: number): void => {
      add(`${at}.self_attn.${name}.weight`, rows, hidden);
      if (model.attentionBias) add(`${at}.self_attn.${name}.bias`, rows);
    };
    add(`${at}.input_layernorm.weight`, hidden);
    project('q_proj', hidden);
    project('k_proj', keyValue);
    project('v_proj', keyValue);
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

/** What the `config.json` of every such model says, of the same options. */
export function denseDecoderConfig(model: DenseDecoder, options: ScaleOptions): Record<string, unknown> {
  const { head, hidden, intermediate, vocabulary } = dimensionsOf(model, options);
  return {
    attention_dropout: 0,
    bos_token_id: 0,
    eos_token_id: 0,
    head_dim: head,
    hidden_act: 'silu',
    hidden_size: hidden,
    initializer_range: 0.02,
    intermediate_size: intermediate,
    num_attention_heads: model.heads,
    num_hidden_layers: model.layers,
    num_key_value_heads: model.keyValueHeads,
    tie_word_embeddings: false,
    torch_dtype: 'bfloat16',
    use_cache: true,
    vocab_size: vocabulary,
  };
}
