/** Identity flags → SourceIdentity. Apart from the flags, so that `--help` does not load protobuf. */
import { BackendFramework, type SourceIdentity } from '../gen/model_express/p2p.js';
import type { IdentityFlags } from './options.js';

const frameworks = {
  vllm: BackendFramework.BACKEND_FRAMEWORK_VLLM,
  sglang: BackendFramework.BACKEND_FRAMEWORK_SGLANG,
  trt_llm: BackendFramework.BACKEND_FRAMEWORK_TRT_LLM,
} as const;

/**
 * The identity that the flags spell, with `MX_MODEL_REVISION` for a revision that they do not give and `MX_SOURCE_DOMAIN` as the
 * parameter `source_domain`. What is not given has its proto3 default: nothing is guessed.
 */
export function identityOf(
  flags: IdentityFlags,
  modelName: string,
  env: Readonly<Record<string, string | undefined>> = {},
): Partial<SourceIdentity> & { readonly modelName: string } {
  const { MX_MODEL_REVISION: fromEnvironment = '' } = env;
  const revision = flags.revision ?? (fromEnvironment === '' ? undefined : fromEnvironment);
  const domain = env['MX_SOURCE_DOMAIN']?.trim() ?? '';
  return {
    modelName,
    ...(flags.framework !== undefined && { backendFramework: frameworks[flags.framework] }),
    ...(flags.tp !== undefined && { tensorParallelSize: flags.tp }),
    ...(flags.pp !== undefined && { pipelineParallelSize: flags.pp }),
    ...(flags.ep !== undefined && { expertParallelSize: flags.ep }),
    ...(flags.dtype !== undefined && { dtype: flags.dtype }),
    ...(flags.quantization !== undefined && { quantization: flags.quantization }),
    ...(revision !== undefined && { revision }),
    ...(flags.mxVersion !== undefined && { mxVersion: flags.mxVersion }),
    ...(domain !== '' && { extraParameters: { source_domain: domain } }),
  };
}
