/** Identity flags → SourceIdentity. Apart from the flags, so that `--help` does not load protobuf. */
import { BackendFramework, type SourceIdentity } from '../gen/model_express/p2p.js';
import type { IdentityFlags } from './options.js';

const frameworks = {
  vllm: BackendFramework.BACKEND_FRAMEWORK_VLLM,
  sglang: BackendFramework.BACKEND_FRAMEWORK_SGLANG,
  trt_llm: BackendFramework.BACKEND_FRAMEWORK_TRT_LLM,
} as const;

/** The identity that the flags spell. What is not given has its proto3 default: nothing is guessed. */
export function identityOf(flags: IdentityFlags, modelName: string): Partial<SourceIdentity> & { readonly modelName: string } {
  return {
    modelName,
    ...(flags.framework !== undefined && { backendFramework: frameworks[flags.framework] }),
    ...(flags.tp !== undefined && { tensorParallelSize: flags.tp }),
    ...(flags.pp !== undefined && { pipelineParallelSize: flags.pp }),
    ...(flags.ep !== undefined && { expertParallelSize: flags.ep }),
    ...(flags.dtype !== undefined && { dtype: flags.dtype }),
    ...(flags.quantization !== undefined && { quantization: flags.quantization }),
    ...(flags.revision !== undefined && { revision: flags.revision }),
    ...(flags.mxVersion !== undefined && { mxVersion: flags.mxVersion }),
  };
}
