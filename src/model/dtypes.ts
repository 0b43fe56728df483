/**
 * Element types of safetensors and the other names that they go by. A dtype is spelled as in a safetensors header
 * (`BF16`); ModelExpress and torch write `torch.bfloat16`.
 */
import { WeightcastError } from '../errors.js';

/** Bits of one element, in the order of the reference implementation, which lays tensors out by descending rank in it. */
const bits = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E5M2FNUZ: 8,
  F8_E4M3FNUZ: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** An element type of the safetensors format as of version 0.8. */
export type Dtype = keyof typeof bits;

/** Every {@link Dtype}, in layout order: later ones come first in a file. */
export const dtypes = Object.keys(bits) as readonly Dtype[];

/** torch has no 6-bit floats; its 4-bit type packs two elements into one, so shapes differ there by a factor of two. */
const torchNames: readonly (readonly [Dtype, string])[] = [
  ['BOOL', 'bool'],
  ['F4', 'float4_e2m1fn_x2'],
  ['U8', 'uint8'],
  ['I8', 'int8'],
  ['F8_E5M2', 'float8_e5m2'],
  ['F8_E4M3', 'float8_e4m3fn'],
  ['F8_E5M2FNUZ', 'float8_e5m2fnuz'],
  ['F8_E4M3FNUZ', 'float8_e4m3fnuz'],
  ['F8_E8M0', 'float8_e8m0fnu'],
  ['I16', 'int16'],
  ['U16', 'uint16'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I32', 'int32'],
  ['U32', 'uint32'],
  ['F32', 'float32'],
  ['C64', 'complex64'],
  ['F64', 'float64'],
  ['I64', 'int64'],
  ['U64', 'uint64'],
];

const torchByDtype = new Map<string, string>(torchNames.map(([dtype, name]) => [dtype, `torch.${name}`]));

/** Lower-case spellings without a `torch.` prefix; torch's short aliases among them. */
const dtypeByText = new Map<string, Dtype>([
  ...dtypes.map((dtype): [string, Dtype] => [dtype.toLowerCase(), dtype]),
  ...torchNames.map(([dtype, name]): [string, Dtype] => [name, dtype]),
  ['float4_e2m1fn', 'F4'],
  ['half', 'F16'],
  ['float', 'F32'],
  ['double', 'F64'],
  ['short', 'I16'],
  ['int', 'I32'],
  ['long', 'I64'],
  ['cfloat', 'C64'],
]);

/** Whether `text` is a dtype exactly as a safetensors header spells it. */
export function isDtype(text: string): text is Dtype {
  return Object.hasOwn(bits, text);
}

/** Bits of one element: 4, 6, 8, 16, 32 or 64. */
export function dtypeBits(dtype: Dtype): number {
  return bits[dtype];
}

/** `BF16` → `torch.bfloat16`; `undefined` for what torch has no type for (the 6-bit floats) and for unknown text. */
export function torchDtype(dtype: string): string | undefined {
  return torchByDtype.get(dtype);
}

/**
 * `torch.bfloat16`, `bfloat16`, `bf16` or `BF16` → `BF16`; `undefined` for text that names no dtype, the empty text
 * included. Letter case does not matter.
 */
export function parseDtype(text: string): Dtype | undefined {
  const lower = text.toLowerCase();
  return dtypeByText.get(lower.startsWith('torch.') ? lower.slice('torch.'.length) : lower);
}

/** The reference implementation multiplies in 64 bits, the size in bits included. */
const limit = 2n ** 64n - 1n;

/**
 * Bytes of a tensor: product of the shape × bits / 8. A shape without dimensions has one element.
 *
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` for an unknown dtype, a dimension that is not a safe whole number ≥ 0,
 * more than 2^64 - 1 elements or bits on the way (a later zero does not heal that, as in the reference implementation), and a
 * sub-byte tensor that does not end on a byte.
 */
export function tensorBytes(dtype: string, shape: readonly number[]): bigint {
  if (!isDtype(dtype)) throw invalid(`unknown dtype ${JSON.stringify(dtype.slice(0, 64))}: expected one of ${dtypes.join(', ')}`);
  let elements = 1n;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) {
      throw invalid(`dimension ${dimension} of a shape is not a whole number between 0 and 2^53 - 1`);
    }
    elements *= BigInt(dimension);
    if (elements > limit) throw invalid(`the product of the shape exceeds 2^64 - 1`);
  }
  const total = elements * BigInt(bits[dtype]);
  if (total > limit) throw invalid(`${elements} elements of ${dtype} exceed 2^64 - 1 bits`);
  if (total % 8n !== 0n) throw invalid(`${elements} elements of ${dtype} (${bits[dtype]} bits) do not end on a byte boundary`);
  return total / 8n;
}

function invalid(what: string): WeightcastError {
  return new WeightcastError('ERR_INVALID_ARGUMENT', what);
}
