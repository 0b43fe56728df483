/** Names of shape sets. */
export const shapeSetNames = ['qwen2.5-7b', 'deepseek-v3-rank-of-8', 'llama-3-70b'] as const;
export type ShapeSetName = (typeof shapeSetNames)[number];

/** Under which a seed of `bench model` is found. */
export function offerName(name: ShapeSetName, scale: number): string {
  return `${name}, dimensions over ${String(scale)}`;
}
