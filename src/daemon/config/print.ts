/** `--print-config`: every setting, its value, and where it came from. */
import { maskUrl } from '../../metadata/stores/redis/url.js';
import type { ResolvedConfig, ResolvedValue } from './resolve.js';

/** A value in the form in which it can be given: seconds, comma lists; passwords masked. `null`: none. */
export interface PrintedValue {
  readonly key: string;
  readonly value: string | number | boolean | readonly string[] | null;
  readonly origin: ResolvedValue['origin'];
  readonly where: string;
}

export function printedValues({ values }: ResolvedConfig): PrintedValue[] {
  return values.map(({ key, value, origin, where }) => ({ key, value: printed(key, value), origin, where }));
}

function printed(key: string, value: unknown): PrintedValue['value'] {
  if (typeof value === 'number') return key.endsWith('_secs') ? value / 1000 : value;
  if (typeof value === 'string') return maskUrl(value);
  if (typeof value === 'boolean') return value;
  return Array.isArray(value) ? value.map(String) : null;
}

/** Rows of cells: setting, value, source. */
export function printedRows(config: ResolvedConfig): string[][] {
  return printedValues(config).map(({ key, value, origin, where }) => [key, cell(value), source(origin, where)]);
}

function cell(value: PrintedValue['value']): string {
  if (value === null || value === '') return '-';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return Array.isArray(value) ? value.join(',') : String(value);
}

function source(origin: PrintedValue['origin'], where: string): string {
  return where === '' ? origin : `${origin}: ${where}`;
}
