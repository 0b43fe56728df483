/** What a source is, in words, from the identity that it was published with. */
import { BackendFramework, MxSourceType } from '../../../gen/model_express/p2p.js';
import { decodeIdentity } from '../../../identity/index.js';
import type { SourceAttributes } from '../../../metadata/stores/store.js';

export interface SourceFacts {
  readonly modelName: string;
  /** "weights", "LoRA", … */
  readonly type: string;
  /** "vLLM", …; empty: unknown. */
  readonly framework: string;
  readonly frameworkVersion: string;
  readonly tensorParallelSize: number;
  readonly pipelineParallelSize: number;
  readonly expertParallelSize: number;
  readonly dtype: string;
  readonly quantization: string;
  readonly revision: string;
  /** Decimal; empty: none. */
  readonly trainingStep: string;
}

const frameworks: Readonly<Record<number, string>> = {
  [BackendFramework.BACKEND_FRAMEWORK_UNKNOWN]: '',
  [BackendFramework.BACKEND_FRAMEWORK_VLLM]: 'vLLM',
  [BackendFramework.BACKEND_FRAMEWORK_SGLANG]: 'SGLang',
  [BackendFramework.BACKEND_FRAMEWORK_TRT_LLM]: 'TensorRT-LLM',
};

const types: Readonly<Record<number, string>> = {
  [MxSourceType.MX_SOURCE_TYPE_WEIGHTS]: 'weights',
  [MxSourceType.MX_SOURCE_TYPE_LORA]: 'LoRA',
  [MxSourceType.MX_SOURCE_TYPE_CUDA_GRAPH]: 'CUDA graph',
  [MxSourceType.MX_SOURCE_TYPE_TORCH_COMPILE_CACHE]: 'torch.compile cache',
  [MxSourceType.MX_SOURCE_TYPE_TRITON_CACHE]: 'Triton cache',
  [MxSourceType.MX_SOURCE_TYPE_DEEP_GEMM_CACHE]: 'DeepGEMM cache',
  [MxSourceType.MX_SOURCE_TYPE_TILELANG_CACHE]: 'TileLang cache',
  [MxSourceType.MX_SOURCE_TYPE_CUTE_DSL_CACHE]: 'CuTe DSL cache',
  [MxSourceType.MX_SOURCE_TYPE_FLASHINFER_CACHE]: 'FlashInfer cache',
  [MxSourceType.MX_SOURCE_TYPE_TVM_FFI_CACHE]: 'TVM FFI cache',
};

const known = new WeakMap<SourceAttributes, SourceFacts>();

export function sourceFacts(source: SourceAttributes): SourceFacts {
  let facts = known.get(source);
  if (facts === undefined) {
    facts = readFacts(source);
    known.set(source, facts);
  }
  return facts;
}

function readFacts({ modelName, trainingStep, identity: encoded }: SourceAttributes): SourceFacts {
  const identity = decodeIdentity(encoded);
  const { mxSourceType, backendFramework } = identity;
  return {
    modelName,
    type: types[mxSourceType] ?? `type ${String(mxSourceType)}`,
    framework: frameworks[backendFramework] ?? `framework ${String(backendFramework)}`,
    frameworkVersion: identity.backendFrameworkVersion,
    tensorParallelSize: identity.tensorParallelSize,
    pipelineParallelSize: identity.pipelineParallelSize,
    expertParallelSize: identity.expertParallelSize,
    dtype: identity.dtype,
    quantization: identity.quantization,
    revision: identity.revision,
    trainingStep: trainingStep === undefined ? '' : trainingStep.toString(),
  };
}
