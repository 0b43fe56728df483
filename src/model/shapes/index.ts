/** Tensor lists of well-known models, at their published sizes or scaled down. */
export { deepseekV3, deepseekV3Config, type DeepseekV3Options } from './deepseek-v3.js';
export { llama3_70b, llama3_70bConfig } from './llama-3-70b.js';
export { qwen2_5_7b, qwen2_5_7bConfig } from './qwen2-5-7b.js';
export type { ScaleOptions } from './scale.js';
export { smallTensors, type SmallTensorsOptions } from './small-tensors.js';
