/**
 * Llama 3 70B as published: BF16, one rank, 723 tensors, 141 107 412 992 bytes. Numbers from the model's `config.json`;
 * names as in its checkpoint.
 */
import type { TensorSpec } from '../tensor.js';
import { type DenseDecoder, denseDecoderConfig, denseDecoderTensors } from './dense-decoder.js';
import type { ScaleOptions } from './scale.js';

const model: DenseDecoder = {
  layers: 80,
  heads: 64,
  keyValueHeads: 8,
  headSize: 128,
  intermediate: 28672,
  vocabulary: 128256,
  attentionBias: false,
};

/**
 * The tensors of Llama 3 70B, TP = 1: no biases, and an output matrix of its own.
 *
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` for a scale below 1.
 */
export function llama3_70b(options: ScaleOptions = {}): TensorSpec[] {
  return denseDecoderTensors(model, options);
}

/** The `config.json` that belongs to {@link llama3_70b} of the same options. */
export function llama3_70bConfig(options: ScaleOptions = {}): Record<string, unknown> {
  return {
    ...denseDecoderConfig(model, options),
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    max_position_embeddings: 8192,
    model_type: 'llama',
    rms_norm_eps: 1e-5,
    rope_theta: 500_000,
  };
}
