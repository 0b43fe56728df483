/** How busy the inference engine beside a seed is, from its Prometheus metrics. */
import { type Logger, silentLogger } from '../../observe/logger.js';

/** Gauges from 0 to 1 of the engines; the first that is there counts. */
const gauges = [
  'vllm:kv_cache_usage_perc',
  'vllm:gpu_cache_usage_perc',
  'sglang:token_usage',
  'sglang:cache_usage',
  'dynamo_component_gpu_cache_usage_percent',
] as const;

const timeoutMs = 1000;

/** What an engine exposes is far below. Bytes. */
const maxBytes = 16 * 1024 * 1024;

/** 0 to 1; `undefined` when the engine cannot be asked or has none of the known gauges. Never rejects. */
export async function sampleRuntime(url: string, logger: Logger = silentLogger): Promise<number | undefined> {
  try {
    return usageOf(await fetchText(url));
  } catch (error) {
    logger.debug('cannot read the metrics of the inference engine', { url, error: String(error) });
    return undefined;
  }
}

/** The busiest series of the first known gauge, kept between 0 and 1. */
export function usageOf(metrics: string): number | undefined {
  const lines = metrics.split('\n').map((line) => line.trim());
  for (const gauge of gauges) {
    const values = lines.map((line) => valueOf(line, gauge)).filter((value) => value !== undefined);
    if (values.length > 0) return Math.min(1, Math.max(0, ...values));
  }
  return undefined;
}

/** `name 0.5` and `name{label="a"} 0.5`. */
function valueOf(line: string, gauge: string): number | undefined {
  if (!line.startsWith(gauge)) return undefined;
  const value = /^(?:\{[^}]*\})?\s+([0-9eE.+-]+)$/.exec(line.slice(gauge.length))?.[1];
  const number = value === undefined ? Number.NaN : Number(value);
  return Number.isNaN(number) ? undefined : number;
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    const part = chunk as Uint8Array;
    bytes += part.byteLength;
    if (bytes > maxBytes) throw new Error(`more than ${maxBytes} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString('utf8');
}
