/**
 * Qwen2.5-7B as published: BF16, one rank, 339 tensors, 15 231 233 024 bytes. Numbers from the model's `config.json`;
 * names as in its checkpoint.
 */
import type { TensorSpec } from '../tensor.js';
import { type DenseDecoder, denseDecoderConfig, denseDecoderTensors } from './dense-decoder.js';
import type { ScaleOptions } from './scale.js';

const model: DenseDecoder = {
  layers: 28,
  heads: 28,
  keyValueHeads: 4,
  headSize: 128,
  intermediate: 18944,
  vocabulary: 152064,
  attentionBias: true,
};

/**
 * The tensors of Qwen2.5-7B, TP = 1. The smallest that `scale` can make them is about 250 kB.
 *
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` for a scale below 1.
 */
export function qwen2_5_7b(options: ScaleOptions = {}): TensorSpec[] {
  return denseDecoderTensors(model, options);
}

/** The `config.json` that belongs to {@link qwen2_5_7b} of the same options. */
export function qwen2_5_7bConfig(options: ScaleOptions = {}): Record<string, unknown> {
  return {
    ...denseDecoderConfig(model, options),
    architectures: ['Qwen2ForCausalLM'],
    max_position_embeddings: 131072,
    model_type: 'qwen2',
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
    use_sliding_window: false,
  };
}
