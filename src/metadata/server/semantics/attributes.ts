/** What listings say of a source, derived from the identity that was published last. */
import type { SourceIdentity } from '../../../identity/index.js';
import type { SourceAttributes } from '../../stores/store.js';

const uint64Limit = 1n << 64n;

export function sourceAttributes(identity: SourceIdentity, encoded: Buffer): SourceAttributes {
  const parameter = (key: string): string | undefined =>
    Object.hasOwn(identity.extraParameters, key) ? identity.extraParameters[key] : undefined;
  const step = parameter('training_step') ?? parameter('version');
  const signature = parameter('layout_signature');
  return {
    modelName: identity.modelName,
    trainingStep: step === undefined ? undefined : parseUint64(step),
    layoutSignature: signature === '' ? undefined : signature,
    identity: encoded,
  };
}

/** Decimal digits with an optional leading plus, below 2^64; anything else is no number. */
export function parseUint64(text: string): bigint | undefined {
  if (!/^\+?[0-9]+$/.test(text)) return undefined;
  const value = BigInt(text.replace('+', ''));
  return value < uint64Limit ? value : undefined;
}
