/** Shrinking of architectures: the same names, dtypes and relations, fewer bytes. */
import { WeightcastError } from '../../errors.js';

/** What shape sets have in common. */
export interface ScaleOptions {
  /**
   * Dimensions are divided by it (rounded down, at least 1); counts (layers, heads, experts) are not. A number ≥ 1;
   * default 1, the published sizes. Matrices shrink by its square, vectors by itself.
   */
  readonly scale?: number;
}

/**
 * The function that scales a dimension.
 *
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` unless `scale` is a finite number ≥ 1.
 */
export function scaler(scale: number): (dimension: number) => number {
  if (!Number.isFinite(scale) || scale < 1) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `expected a number ≥ 1 for scale but received ${scale}`);
  }
  return (dimension) => Math.max(1, Math.floor(dimension / scale));
}

/** @throws WeightcastError `ERR_INVALID_ARGUMENT` unless `value` is a whole number in [low, high]. */
export function requireWhole(name: string, value: number, low: number, high: number): void {
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    throw new WeightcastError(
      'ERR_INVALID_ARGUMENT',
      `expected a whole number between ${low} and ${high} for ${name} but received ${value}`,
    );
  }
}
