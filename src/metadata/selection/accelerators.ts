/** Whether weights in the memory of one kind of accelerator are good for another. */
import { MxSourceType, type SourceIdentity } from '../../gen/model_express/p2p.js';

/** Families whose plain weights have the same bytes. */
const pairs: readonly (readonly [string, string])[] = [['cuda', 'xpu']];

/** dtypes that are no quantisation, by every name that peers use. */
const plainDtypes: ReadonlySet<string> = new Set(['float32', 'float', 'f32', 'float16', 'half', 'f16', 'bfloat16', 'bf16']);

/** What the rule depends on. */
export type WeightKind = Pick<SourceIdentity, 'mxSourceType' | 'quantization' | 'dtype'>;

/**
 * ModelExpress' rule. Unknown (`''`) on either side is compatible, equal is compatible; different families only where the
 * pair is known to share plain weights and the identity says that they are plain: quantised layouts belong to their hardware.
 *
 * @param unknown `defer`: the accelerator may still become known (in a listing). `refuse`: it will not, so that quantised
 * weights need a known and equal one.
 */
export function acceleratorsCompatible(target: string, source: string, kind: WeightKind, unknown: 'defer' | 'refuse'): boolean {
  const weights = kind.mxSourceType === MxSourceType.MX_SOURCE_TYPE_WEIGHTS;
  const equal = target === source;
  const known = target !== '' && source !== '';
  if (unknown === 'refuse' && weights && !(known && equal) && !isPlain(kind)) return false;
  if (!known || equal) return true;
  return weights && isPlain(kind) && pairs.some(([a, b]) => (target === a && source === b) || (target === b && source === a));
}

/** Both fields must say so: what is not declared may be quantised. */
export function isPlain({ quantization, dtype }: Pick<WeightKind, 'quantization' | 'dtype'>): boolean {
  return (
    ['', 'none'].includes(quantization.trim().toLowerCase()) &&
    plainDtypes.has(
      dtype
        .trim()
        .toLowerCase()
        .replace(/^torch\./, ''),
    )
  );
}
