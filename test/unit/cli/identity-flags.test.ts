import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { identityOf } from '#src/cli/identity.js';
import { narrowsIdentity, wireOptionsOf } from '#src/cli/options.js';
import { BackendFramework, SourceIdentity } from '#src/gen/model_express/p2p.js';
import { mxSourceId } from '#src/identity/index.js';

describe('identity flags', () => {
  it('that are not given leave the proto3 defaults', () => {
    assert.deepEqual(identityOf({}, 'm'), { modelName: 'm' });
    assert.equal(mxSourceId(identityOf({}, 'm')), mxSourceId(SourceIdentity.fromPartial({ modelName: 'm' })));
  });

  it('spell the identity of the other side', () => {
    const flags = { framework: 'vllm', tp: 8, pp: 1, ep: 0, dtype: 'bfloat16', mxVersion: '0.5.0' } as const;
    // The id of this identity as the server we follow computes it.
    assert.equal(mxSourceId(identityOf(flags, 'deepseek-ai/DeepSeek-V3')), '5a5f555570065064');
    assert.equal(mxSourceId(identityOf({ ...flags, revision: 'abc123def4567890' }, 'deepseek-ai/DeepSeek-V3')), 'd0c184b2a9a34c82');
  });

  it('come before the environment, which gives a revision and a domain', () => {
    const env = { MX_MODEL_REVISION: 'r1', MX_SOURCE_DOMAIN: ' blue\n' };
    assert.deepEqual(identityOf({}, 'm', env), { modelName: 'm', revision: 'r1', extraParameters: { source_domain: 'blue' } });
    assert.equal(identityOf({ revision: 'r2' }, 'm', env).revision, 'r2');
    assert.deepEqual(identityOf({}, 'm', { MX_MODEL_REVISION: '', MX_SOURCE_DOMAIN: '  ' }), { modelName: 'm' });
  });

  it('have the numbers of the protocol for frameworks', () => {
    assert.equal(identityOf({ framework: 'vllm' }, 'm').backendFramework, BackendFramework.BACKEND_FRAMEWORK_VLLM);
    assert.equal(identityOf({ framework: 'sglang' }, 'm').backendFramework, BackendFramework.BACKEND_FRAMEWORK_SGLANG);
    assert.equal(identityOf({ framework: 'trt_llm' }, 'm').backendFramework, BackendFramework.BACKEND_FRAMEWORK_TRT_LLM);
  });

  it('narrow the identity only beside the model name', () => {
    assert.equal(narrowsIdentity({ modelName: 'm' }), false);
    assert.equal(narrowsIdentity({ modelName: 'm', ep: 0 }), true);
    assert.equal(narrowsIdentity({ quantization: 'fp8' }), true);
    const every = { framework: 'vllm', tp: 1, pp: 1, ep: 1, dtype: 'd', quantization: 'q', revision: 'r', mxVersion: 'v' } as const;
    for (const [name, value] of Object.entries(every)) assert.ok(narrowsIdentity({ [name]: value }), name);
    assert.equal(Object.keys(identityOf(every, 'm')).length, 9);
  });
});

describe('wire flags', () => {
  it('become options of the library; absent ones stay absent', () => {
    assert.deepEqual(wireOptionsOf({}), {});
    assert.deepEqual(wireOptionsOf({ transport: 'rdma', device: ['rxe0'], gidIndex: 0, host: '::1' }), {
      transport: 'rdma',
      devices: ['rxe0'],
      gidIndex: 0,
      host: '::1',
    });
  });
});
