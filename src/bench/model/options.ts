/** What `bench model` is asked for. */
import type { Depth } from '../read/options.js';
import type { Wire } from '../source/offer.js';
import type { Target } from '../source/target.js';
import type { ShapeSetName } from './names.js';

export interface ModelBenchOptions {
  readonly target: Target;
  readonly wire: Wire;
  readonly depth: Depth;
  readonly shapes: ShapeSetName;
  /** Divides dimensions; 1: the published sizes. */
  readonly scale: number;
  readonly repetitions: number;
  readonly signal: AbortSignal;
  /** What goes on, a line at a time. */
  readonly tell: (text: string) => void;
}
