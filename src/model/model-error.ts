/** Errors about models that others wrote. */
import { WeightcastError } from '../errors.js';

/** `ERR_MODEL_INVALID` that names the file, the tensor if one is at fault, and what is wrong with it. */
export function modelInvalid(file: string, tensor: string | undefined, what: string, cause?: unknown): WeightcastError {
  const where = tensor === undefined ? file : `${file}: tensor ${quote(tensor)}`;
  return new WeightcastError('ERR_MODEL_INVALID', `${where}: ${what}`, { file, tensor, ...(cause === undefined ? {} : { cause }) });
}

/** A text of others for an error message: quoted, escaped, at most 120 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 119)}…` : text);
}
