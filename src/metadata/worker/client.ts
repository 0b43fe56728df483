/** The client of a worker's own gRPC endpoint: a Weightcast seed's, or any ModelExpress worker's. */
import { setImmediate } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { toWeightcastError, WeightcastError } from '../../errors.js';
import { type GetTensorManifestRequest, GetTensorManifestResponse, WorkerServiceService } from '../../gen/model_express/p2p.js';
import { SeedServiceService } from '../../gen/weightcast/seed.js';
import { ManifestAssembler, type ModelManifest } from './model-manifest.js';
import { formatAddress, parseAddress } from '../../rpc/address.js';
import { type Method, RpcClient } from '../../rpc/rpc-client.js';
import { collectEntries, decodeEntries } from '../wire/tensor-entries.js';

/** ModelExpress' workers listen there when nothing else is said. */
const defaultWorkerPort = 6555;

const manifestBytes: Method<GetTensorManifestRequest, Buffer> = {
  ...WorkerServiceService.getTensorManifest,
  responseDeserialize: (bytes) => bytes,
};

/**
 * Every call rejects with ERR_SOURCE_GONE when the worker cannot be reached or is no longer the one that was asked for,
 * ERR_SERVER when it fails otherwise, ERR_STALLED when a stream brings nothing for `timeoutMs`, ERR_ABORTED, ERR_CLOSED.
 */
export class WorkerClient {
  readonly endpoint: string;
  readonly #rpc: RpcClient;
  #asked = { mxSourceId: '', workerId: '' };

  /**
   * @param endpoint `host:port`.
   * @param options.timeoutMs deadline of a call; of a stream, the longest wait for one message; default 30 000.
   * @throws ERR_INVALID_ARGUMENT when `endpoint` is no such address.
   */
  constructor(endpoint: string, options: { readonly timeoutMs?: number } = {}) {
    const address = parseAddress(endpoint, defaultWorkerPort);
    this.endpoint = formatAddress(address);
    this.#rpc = new RpcClient({
      address,
      timeoutMs: options.timeoutMs ?? 30_000,
      translate: (error, doing) => this.#translate(error, doing),
    });
  }

  /** Names, addresses and sizes of the worker's tensors. A worker that does not tell its id is taken at its word. */
  async tensorManifest(mxSourceId: string, workerId: string, signal?: AbortSignal): Promise<GetTensorManifestResponse> {
    this.#asked = { mxSourceId, workerId };
    const doing = 'cannot get the tensor manifest';
    const reply = await this.#rpc.unary(manifestBytes, { mxSourceId, workerId }, { doing, signal });
    const manifest = await this.#decode(reply, doing);
    if (manifest.workerId !== undefined && manifest.workerId !== workerId) {
      const text = `${doing}: worker ${manifest.workerId} answered at ${this.endpoint} where ${workerId} was asked for`;
      throw new WeightcastError('ERR_SOURCE_GONE', text, { peer: this.endpoint });
    }
    return manifest;
  }

  /** Files, shapes and checksums; `undefined` when the peer is no Weightcast seed. Large manifests never hold the event loop for long. */
  async modelManifest(mxSourceId: string, workerId: string, signal?: AbortSignal): Promise<ModelManifest | undefined> {
    this.#asked = { mxSourceId, workerId };
    const assembler = new ManifestAssembler();
    const context = { doing: 'cannot get the model manifest', signal };
    try {
      for await (const part of this.#rpc.serverStream(SeedServiceService.getModelManifest, this.#asked, context)) {
        assembler.add(part);
        await setImmediate();
      }
    } catch (error) {
      if (error instanceof WeightcastError && error.grpcStatus === status.UNIMPLEMENTED) return undefined;
      throw error;
    }
    return assembler.finish();
  }

  /**
   * The content of one of the manifest's model files. Asks the source whose manifest was asked for last, so that a seed
   * that took its place refuses. Size and hash are not checked here.
   */
  async *modelFile(name: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
    const context = { doing: `cannot get the model file ${name}`, signal };
    for await (const { data } of this.#rpc.serverStream(SeedServiceService.getModelFile, { ...this.#asked, name }, context)) yield data;
  }

  /** Idempotent. */
  close(): void {
    this.#rpc.close();
  }

  async #decode(reply: Buffer, doing: string): Promise<GetTensorManifestResponse> {
    try {
      const { entries } = collectEntries(reply, 1);
      // The list comes first on the wire of every known peer; where it does not, the rest is decoded with it.
      const isPrefix = reply.subarray(0, entries.length).equals(entries);
      const rest = GetTensorManifestResponse.decode(isPrefix ? reply.subarray(entries.length) : reply);
      return { ...rest, tensors: await decodeEntries(entries) };
    } catch (error) {
      const text = `${doing}: the answer of ${this.endpoint} is no GetTensorManifestResponse: ${String(error)}`;
      throw new WeightcastError('ERR_PROTOCOL', text, { cause: error, peer: this.endpoint });
    }
  }

  /** What makes a server unreachable makes a worker gone: the next source should be tried. */
  #translate(error: unknown, doing: string): WeightcastError {
    const ours = toWeightcastError(error, { doing, peer: this.endpoint });
    if (ours.code !== 'ERR_SERVER_UNREACHABLE' && ours.grpcStatus !== status.FAILED_PRECONDITION) return ours;
    const { peer, grpcStatus, grpcMessage } = ours;
    return new WeightcastError('ERR_SOURCE_GONE', ours.message, { cause: error, peer, grpcStatus, grpcMessage });
  }
}
