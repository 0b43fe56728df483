/** The text that a source id is a hash of. */
import type { SourceIdentity } from '../gen/model_express/p2p.js';
import { completeIdentity } from './identity.js';

type Quote = (text: string) => string;

/** Escapes only what JSON demands, as ModelExpress' server does. */
const quoteRaw: Quote = (text) => JSON.stringify(text);

/** Escapes everything outside of U+0020 to U+007E, as Python's `json.dumps` does; it escapes U+007F too. */
const quoteAscii: Quote = (text) =>
  JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * The canonical JSON of an identity: compact, keys ascending, every string lower-cased by Unicode's rules.
 * Absent fields count as proto3 defaults.
 */
export function canonicalJson(identity: Partial<SourceIdentity>): string {
  return render(completeIdentity(identity), quoteRaw);
}

/** As ModelExpress' Python client writes it. It differs from {@link canonicalJson} for characters from U+007F on. */
export function pythonCanonicalJson(identity: Partial<SourceIdentity>): string {
  return render(completeIdentity(identity), quoteAscii);
}

function render(identity: SourceIdentity, quote: Quote): string {
  const text = (value: string): string => quote(lower(value));
  const members: [string, string | undefined][] = [
    ['backend_framework', String(identity.backendFramework)],
    ['backend_framework_version', unlessEmpty(identity.backendFrameworkVersion, text)],
    ['compile_config_digest', unlessEmpty(identity.compileConfigDigest, text)],
    ['cuda_version', unlessEmpty(identity.cudaVersion, text)],
    ['dtype', text(identity.dtype)],
    ['expert_parallel_size', String(identity.expertParallelSize)],
    ['extra_parameters', renderParameters(identity.extraParameters, quote)],
    ['gpu_arch', unlessEmpty(identity.gpuArch, text)],
    ['model_name', text(identity.modelName)],
    ['mx_source_type', String(identity.mxSourceType)],
    ['mx_version', text(identity.mxVersion)],
    ['pipeline_parallel_size', String(identity.pipelineParallelSize)],
    ['quantization', text(identity.quantization)],
    ['revision', text(identity.revision)],
    ['tensor_parallel_size', String(identity.tensorParallelSize)],
    ['torch_version', unlessEmpty(identity.torchVersion, text)],
    ['triton_version', unlessEmpty(identity.tritonVersion, text)],
  ];
  return `{${members.flatMap(([key, value]) => (value === undefined ? [] : [`"${key}":${value}`])).join(',')}}`;
}

/**
 * Keys that collide after lower-casing: the one whose original comes first by code point wins. Written by hand because
 * a JavaScript object would move integer-like keys to the front and swallow `__proto__`.
 */
function renderParameters(parameters: Readonly<Record<string, string>>, quote: Quote): string {
  const lowered = new Map<string, string>();
  for (const [key, value] of Object.entries(parameters).sort(([a], [b]) => compareCodePoints(a, b))) {
    const name = lower(key);
    if (!lowered.has(name)) lowered.set(name, lower(value));
  }
  const members = [...lowered].sort(([a], [b]) => compareCodePoints(a, b));
  return `{${members.map(([key, value]) => `${quote(key)}:${quote(value)}`).join(',')}}`;
}

/** UTF-8 sorts as code points do; JavaScript's own order of UTF-16 units puts astral characters too early. */
function compareCodePoints(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The way through UTF-8 replaces lone surrogates by U+FFFD, which is what the wire would carry. */
function lower(text: string): string {
  return Buffer.from(text).toString().toLowerCase();
}

function unlessEmpty(value: string, text: Quote): string | undefined {
  return value === '' ? undefined : text(value);
}
