/** The attributes of a source: its identity, in the letter case in which it was published. */
import { type BackendFramework, type MxSourceType, SourceIdentity } from '../../../gen/model_express/p2p.js';
import { decodeIdentity } from '../../../identity/index.js';
import { sourceAttributes } from '../../server/semantics/attributes.js';
import type { SourceAttributes } from '../store.js';
import { JsonReader } from './json-reader.js';
import { uint32Max } from './numbers.js';
import { readStringMap, stringMapJson } from './string-map-json.js';
import { readUnknownFields, unknownFields, unknownFieldsJson, unknownFieldsMember } from './unknown-fields.js';

/** Fields 1 to 17. */
const knownFields: ReadonlySet<number> = new Set(Array.from({ length: 17 }, (_, index) => index + 1));

/** What listings say of a source whose attributes are lost. */
export const noAttributes: SourceAttributes = {
  modelName: '',
  trainingStep: undefined,
  layoutSignature: undefined,
  identity: Buffer.alloc(0),
};

type TextField = {
  [Field in keyof SourceIdentity]: SourceIdentity[Field] extends string ? Field : never;
}[keyof SourceIdentity];
type SizeField = 'tensorParallelSize' | 'pipelineParallelSize' | 'expertParallelSize';

const textMembers: ReadonlyMap<string, TextField> = new Map([
  ['model_name', 'modelName'],
  ['mx_version', 'mxVersion'],
  ['dtype', 'dtype'],
  ['quantization', 'quantization'],
  ['revision', 'revision'],
  ['backend_framework_version', 'backendFrameworkVersion'],
  ['torch_version', 'torchVersion'],
  ['cuda_version', 'cudaVersion'],
  ['triton_version', 'tritonVersion'],
  ['gpu_arch', 'gpuArch'],
  ['compile_config_digest', 'compileConfigDigest'],
]);

const sizeMembers: ReadonlyMap<string, SizeField> = new Map([
  ['tensor_parallel_size', 'tensorParallelSize'],
  ['pipeline_parallel_size', 'pipelineParallelSize'],
  ['expert_parallel_size', 'expertParallelSize'],
]);

/** Members in the order of ModelExpress' servers. */
export function encodeAttributes(attributes: SourceAttributes): string {
  const identity = decodeIdentity(attributes.identity);
  const members = [
    ['model_name', JSON.stringify(identity.modelName)],
    ['mx_version', JSON.stringify(identity.mxVersion)],
    ['mx_source_type', String(identity.mxSourceType)],
    ['backend_framework', String(identity.backendFramework)],
    ['tensor_parallel_size', String(identity.tensorParallelSize)],
    ['pipeline_parallel_size', String(identity.pipelineParallelSize)],
    ['expert_parallel_size', String(identity.expertParallelSize)],
    ['dtype', JSON.stringify(identity.dtype)],
    ['quantization', JSON.stringify(identity.quantization)],
    ['extra_parameters', stringMapJson(identity.extraParameters)],
    ['revision', JSON.stringify(identity.revision)],
    ['backend_framework_version', JSON.stringify(identity.backendFrameworkVersion)],
    ['torch_version', JSON.stringify(identity.torchVersion)],
    ['cuda_version', JSON.stringify(identity.cudaVersion)],
    ['triton_version', JSON.stringify(identity.tritonVersion)],
    ['gpu_arch', JSON.stringify(identity.gpuArch)],
    ['compile_config_digest', JSON.stringify(identity.compileConfigDigest)],
  ] as const;
  const text = members.map(([name, value]) => `"${name}":${value}`).join(',');
  return `{${text}${unknownFieldsJson(unknownFields(attributes.identity, knownFields))}}`;
}

/** `undefined` for what are no attributes. Only the model's name is required. */
export function decodeAttributes(text: string): SourceAttributes | undefined {
  try {
    return readAttributes(new JsonReader(text));
  } catch {
    return undefined;
  }
}

function readAttributes(json: JsonReader): SourceAttributes | undefined {
  const identity = SourceIdentity.create();
  let hasModelName = false;
  let unknown: Buffer = Buffer.alloc(0);
  json.openObject();
  for (let key = json.key(); key !== undefined; key = json.key()) {
    const textField = textMembers.get(key);
    const sizeField = sizeMembers.get(key);
    if (textField !== undefined) identity[textField] = json.detachedString();
    else if (sizeField !== undefined) identity[sizeField] = json.integer(0, uint32Max);
    else if (key === 'mx_source_type') identity.mxSourceType = json.enumeration() as MxSourceType;
    else if (key === 'backend_framework') identity.backendFramework = json.enumeration() as BackendFramework;
    else if (key === 'extra_parameters') identity.extraParameters = readStringMap(json);
    else if (key === unknownFieldsMember) unknown = unknownFields(readUnknownFields(json), knownFields);
    else json.skip();
    hasModelName ||= key === 'model_name';
  }
  json.end();
  if (!hasModelName) return undefined;
  return sourceAttributes(identity, Buffer.concat([SourceIdentity.encode(identity).finish(), unknown]));
}
