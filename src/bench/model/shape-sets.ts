/** Sets of tensors that `bench model` and `bench register` know by name. */
import { deepseekV3, llama3_70b, qwen2_5_7b } from '../../model/shapes/index.js';
import type { TensorSpec } from '../../model/tensor.js';
import type { ShapeSetName } from './names.js';

const sets: Readonly<Record<ShapeSetName, (scale: number) => TensorSpec[]>> = {
  'qwen2.5-7b': (scale) => qwen2_5_7b({ scale }),
  'deepseek-v3-rank-of-8': (scale) => deepseekV3({ tp: 8, scale }),
  'llama-3-70b': (scale) => llama3_70b({ scale }),
};

/** @param scale divides dimensions; 1: the published sizes. @throws ERR_INVALID_ARGUMENT for a scale below 1. */
export function shapeSet(name: ShapeSetName, scale: number): TensorSpec[] {
  return sets[name](scale);
}
