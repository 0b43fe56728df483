import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { GetTensorManifestResponse, WorkerServiceService } from '#src/gen/model_express/p2p.js';
import type { ManifestTensor, ModelManifest } from '#src/metadata/worker/model-manifest.js';
import { WorkerClient } from '#src/metadata/worker/client.js';
import { WorkerServer, type WorkerSource } from '#src/metadata/worker/server.js';
import { call, connectRaw, measured, memoryLogger, tensors, until } from './support.js';

const manifest: ModelManifest = {
  weightFiles: [{ name: 'model.safetensors', header: Buffer.from('{"a":1}'), dataBytes: 8n }],
  modelFiles: [{ name: 'config.json', size: 600_000n, sha256: '00' }],
  tensors: [{ name: 'a', dtype: 'BF16', shape: [2, 2], bytes: 8n, checksum: (1n << 64n) - 1n, file: 0, offset: 0n }],
};

const config = Buffer.alloc(600_000, 'c');

async function* configChunks(): AsyncGenerator<Buffer> {
  yield await Promise.resolve(config);
}

const source: WorkerSource = {
  workerId: 'w1',
  workerRank: 5,
  accelerator: 'cuda',
  tensors: [{ name: 'a', addr: (1n << 64n) - 1n, size: 8n, deviceId: 0, dtype: 'BF16' }],
  manifest: () => Promise.resolve(manifest),
  openFile: (name) => (name === 'config.json' ? Promise.resolve(configChunks()) : undefined),
};

async function serve(test: TestContext, changes: Partial<WorkerSource> = {}): Promise<{ server: WorkerServer; client: WorkerClient }> {
  const server = await WorkerServer.listen({ host: '127.0.0.1', worker: { ...source, ...changes }, logger: memoryLogger() });
  const client = new WorkerClient(server.endpoint);
  test.after(async () => {
    client.close();
    await server.close();
  });
  return { server, client };
}

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

describe('WorkerService', () => {
  it('gives the tensor manifest to whoever names its source id, and its worker id or none', async (test) => {
    const { server, client } = await serve(test);
    server.setSourceId('s1');
    const expected = {
      tensors: [...source.tensors],
      mxSourceId: 's1',
      metadataEndpoint: '',
      agentName: '',
      workerRank: 5,
      accelerator: 'cuda',
      workerId: 'w1',
    };
    assert.deepEqual(await client.tensorManifest('s1', 'w1'), expected);
    const raw = connectRaw(test, server.endpoint);
    assert.deepEqual(await call(raw, WorkerServiceService.getTensorManifest, { mxSourceId: 's1', workerId: undefined }), expected);
  });

  it('tells of a NIXL listener where there is one', async (test) => {
    const { server, client } = await serve(test, { metadataEndpoint: '10.0.0.1:5555', agentName: 'mx-auto-worker5-0123abcd' });
    server.setSourceId('s1');
    const { metadataEndpoint, agentName } = await client.tensorManifest('s1', 'w1');
    assert.deepEqual([metadataEndpoint, agentName], ['10.0.0.1:5555', 'mx-auto-worker5-0123abcd']);
  });

  it('refuses other ids', async (test) => {
    const { server, client } = await serve(test);
    const refused = (message: string): object => ({
      code: 'ERR_SOURCE_GONE',
      grpcStatus: status.FAILED_PRECONDITION,
      grpcMessage: message,
    });
    await assert.rejects(client.tensorManifest('s1', 'w1'), refused('mx_source_id mismatch: expected None, got s1'));
    server.setSourceId('s1');
    await assert.rejects(client.tensorManifest('s2', 'w1'), refused('mx_source_id mismatch: expected s1, got s2'));
    await assert.rejects(client.tensorManifest('s1', 'w2'), refused('worker_id mismatch: expected w1, got w2'));
    await assert.rejects(client.tensorManifest('s1', ''), refused('worker_id mismatch: expected w1, got '));
    const raw = connectRaw(test, server.endpoint);
    await assert.rejects(call(raw, WorkerServiceService.getTensorManifest, { mxSourceId: '', workerId: 'w1' }), {
      code: status.INVALID_ARGUMENT,
      details: 'mx_source_id is required for tensor reads',
    });
    await assert.rejects(client.modelManifest('s2', 'w1'), refused('mx_source_id mismatch: expected s1, got s2'));
    await assert.rejects(collect(client.modelFile('config.json')), refused('mx_source_id mismatch: expected s1, got s2'));
  });

  it('has no artifacts', async (test) => {
    const { server } = await serve(test);
    const raw = connectRaw(test, server.endpoint);
    const { getArtifactManifestHeader, getArtifactManifestChunks, prepareArtifactChunk, releaseArtifactChunk } = WorkerServiceService;
    const of = { mxSourceId: '', artifactId: 'a' };
    const none = { code: status.NOT_FOUND, details: 'artifact manifest is not available for this worker' };
    await assert.rejects(call(raw, getArtifactManifestHeader, of), none);
    await assert.rejects(call(raw, getArtifactManifestChunks, { ...of, startChunkIndex: 0, maxChunks: 1 }), none);
    await assert.rejects(call(raw, prepareArtifactChunk, { ...of, chunkIndex: 0 }), none);
    await assert.rejects(call(raw, releaseArtifactChunk, { ...of, leaseId: 'l' }), none);
  });

  it('of another worker that answers is noticed', async (test) => {
    const stranger = new Server();
    const answer = { ...GetTensorManifestResponse.create(), workerId: 'somebody', tensors: tensors(3) };
    let reply = answer;
    stranger.addService(WorkerServiceService, {
      getTensorManifest: (_call: unknown, callback: (error: null, value: GetTensorManifestResponse) => void) => {
        callback(null, reply);
      },
    });
    const port = await new Promise<number>((done) => {
      stranger.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, bound) => {
        done(bound);
      });
    });
    const client = new WorkerClient(`127.0.0.1:${String(port)}`);
    test.after(() => {
      client.close();
      stranger.forceShutdown();
    });
    await assert.rejects(client.tensorManifest('s', 'w'), {
      code: 'ERR_SOURCE_GONE',
      message: /worker somebody answered .* where w was asked for/,
    });
    reply = { ...answer, workerId: undefined as never };
    assert.deepEqual((await client.tensorManifest('s', 'w')).tensors, tensors(3));
    assert.equal(await client.modelManifest('s', 'w'), undefined);
  });
});

describe('SeedService', () => {
  it('gives the model manifest and files', async (test) => {
    const { server, client } = await serve(test);
    server.setSourceId('s1');
    assert.deepEqual(await client.modelManifest('s1', 'w1'), manifest);
    const chunks = await collect(client.modelFile('config.json'));
    assert.ok(chunks.length >= 3 && chunks.every((chunk) => chunk.length <= 256 * 1024));
    assert.ok(Buffer.concat(chunks).equals(config));
    await assert.rejects(collect(client.modelFile('../secret')), {
      code: 'ERR_SERVER',
      grpcStatus: status.NOT_FOUND,
      message: /'\.\.\/secret'/,
    });
  });

  it('says why it cannot, and goes on', async (test) => {
    async function* torn(): AsyncGenerator<Buffer> {
      yield await Promise.resolve(config);
      throw new Error('disk on fire');
    }
    const { server, client } = await serve(test, {
      manifest: () => Promise.reject(new Error('no checksums')),
      openFile: (name) => (name === 'torn' ? Promise.resolve(torn()) : Promise.reject(new Error('gone'))),
    });
    const internal = { code: 'ERR_SERVER', grpcStatus: status.INTERNAL };
    await assert.rejects(client.modelManifest('', ''), { ...internal, message: /no checksums/ });
    await assert.rejects(collect(client.modelFile('torn')), { ...internal, message: /disk on fire/ });
    await assert.rejects(collect(client.modelFile('x')), { ...internal, message: /gone/ });
    server.setSourceId('s1');
    assert.equal((await client.tensorManifest('s1', 'w1')).workerRank, 5);
  });

  it('stops reading a file when its reader goes', async (test) => {
    let produced = 0;
    let closed = false;
    async function* endless(): AsyncGenerator<Buffer> {
      try {
        for (;;) {
          produced++;
          yield await Promise.resolve(config);
        }
      } finally {
        closed = true;
      }
    }
    const { client } = await serve(test, { openFile: () => Promise.resolve(endless()) });
    for await (const chunk of client.modelFile('x')) {
      assert.ok(chunk.length > 0);
      break;
    }
    await until(() => closed);
    assert.ok(produced < 1000, `${String(produced)} chunks were read ahead`);
  });

  it('streams 100 000 tensors without holding either event loop for long', async (test) => {
    const many: ManifestTensor[] = tensors(100_000).map((tensor, index) => ({
      name: tensor.name,
      dtype: 'F8_E4M3',
      shape: [index % 7, 4096],
      bytes: tensor.size,
      checksum: BigInt(index) << 40n,
      file: 0,
      offset: BigInt(index) * 4096n,
    }));
    const large: ModelManifest = { ...manifest, tensors: many };
    const { server, client } = await serve(test, { manifest: () => Promise.resolve(large), tensors: tensors(100_000) });
    server.setSourceId('s1');
    const { value, ms, longestBlockMs } = await measured(() => client.modelManifest('', ''));
    test.diagnostic(
      `model manifest of 100 000 tensors: ${ms.toFixed(0)} ms, event loop held for at most ${longestBlockMs.toFixed(0)} ms (both sides)`,
    );
    assert.deepEqual(value, large);
    const plain = await measured(() => client.tensorManifest('s1', 'w1'));
    test.diagnostic(
      `tensor manifest of 100 000 tensors: ${plain.ms.toFixed(0)} ms, event loop held for at most ${plain.longestBlockMs.toFixed(0)} ms (both sides)`,
    );
    assert.equal(plain.value.tensors.length, 100_000);
  });
});
