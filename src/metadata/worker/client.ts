/** The client of a worker's own gRPC endpoint: a Weightcast seed's, or any ModelExpress worker's. */
import { setImmediate } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { toWeightcastError, WeightcastError } from '../../errors.js';
import {
  type GetTensorManifestRequest,
  GetTensorManifestResponse,
  type PrepareTensorReadRequest,
  WorkerServiceService,
} from '../../gen/model_express/p2p.js';
import { SeedServiceService } from '../../gen/weightcast/seed.js';
import { ManifestAssembler } from './manifest-parts.js';
import type { ModelManifest } from './model-manifest.js';
import { formatAddress, parseTarget } from '../../rpc/address.js';
import { type Method, RpcClient } from '../../rpc/rpc-client.js';
import type { ClientSecurity } from '../../security/tls-files.js';
import { collectEntries, decodeEntries } from '../wire/tensor-entries.js';
import { splitPrepared, type TensorRead } from './tensor-read.js';

export type { TensorRead } from './tensor-read.js';

/** ModelExpress' workers listen there when nothing else is said. */
const defaultWorkerPort = 6555;

const manifestBytes: Method<GetTensorManifestRequest, Buffer> = {
  ...WorkerServiceService.getTensorManifest,
  responseDeserialize: (bytes) => bytes,
};

const prepareBytes: Method<PrepareTensorReadRequest, Buffer> = {
  ...WorkerServiceService.prepareTensorRead,
  responseDeserialize: (bytes) => bytes,
};

/** A lease is given back at the end of a pull, also of an aborted one: nobody should wait long for a worker that is gone. Milliseconds. */
const releaseTimeoutMs = 5000;

/**
 * Every call rejects with ERR_SOURCE_GONE when the worker cannot be reached or is no longer the one that was asked for,
 * ERR_TLS when a certificate is in the way, ERR_SERVER when it fails otherwise, ERR_STALLED when a stream brings nothing for `timeoutMs`, ERR_ABORTED, ERR_CLOSED.
 */
export class WorkerClient {
  readonly endpoint: string;
  readonly #rpc: RpcClient;
  #asked = { mxSourceId: '', workerId: '' };

  /**
   * @param endpoint `host:port`; with `https://` in front TLS is spoken, and only then.
   * @param options.timeoutMs deadline of a call; of a stream, the longest wait for one message; default 30 000.
   * @param options.security certificates. Workers never get the token, and `serverName` is the metadata server's: a
   * worker's certificate must be for the host of its endpoint.
   * @throws ERR_INVALID_ARGUMENT when `endpoint` is no such address, ERR_TLS when a file of `security.tls` cannot be used.
   */
  constructor(endpoint: string, options: { readonly timeoutMs?: number; readonly security?: ClientSecurity | undefined } = {}) {
    const { tls, ...address } = parseTarget(endpoint, defaultWorkerPort);
    this.endpoint = formatAddress(address);
    this.#rpc = new RpcClient({
      address,
      ...(tls && { security: { tls: { ...options.security?.tls, serverName: undefined } } }),
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
    this.#refuseOthers(manifest, workerId, doing);
    return manifest;
  }

  /** The tensor manifest with a lease on the tensors; `undefined` when the worker knows no leases (ModelExpress before 0.7). */
  async prepareTensorRead(mxSourceId: string, workerId: string, signal?: AbortSignal): Promise<TensorRead | undefined> {
    this.#asked = { mxSourceId, workerId };
    const doing = 'cannot prepare to read the tensors';
    let reply: Buffer;
    try {
      reply = await this.#rpc.unary(prepareBytes, { mxSourceId, workerId }, { doing, signal });
    } catch (error) {
      if (error instanceof WeightcastError && error.grpcStatus === status.UNIMPLEMENTED) return undefined;
      throw error;
    }
    const { leaseId, manifest: bytes } = this.#split(reply, doing);
    let released: Promise<boolean> | undefined;
    const release = (): Promise<boolean> => (released ??= this.#release({ mxSourceId, workerId, leaseId }));
    try {
      const manifest = await this.#decode(bytes, doing);
      this.#refuseOthers(manifest, workerId, doing);
      return { leaseId, manifest, release };
    } catch (error) {
      await release().catch(() => false);
      throw error;
    }
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

  /** False when the worker had ended the lease before. */
  async #release(lease: { readonly mxSourceId: string; readonly workerId: string; readonly leaseId: string }): Promise<boolean> {
    const context = { doing: 'cannot release the tensors', signal: AbortSignal.timeout(releaseTimeoutMs) };
    try {
      await this.#rpc.unary(WorkerServiceService.releaseTensorRead, lease, context);
      return true;
    } catch (error) {
      if (error instanceof WeightcastError && error.grpcStatus === status.NOT_FOUND) return false;
      throw error;
    }
  }

  #refuseOthers(manifest: GetTensorManifestResponse, workerId: string, doing: string): void {
    if (manifest.workerId === undefined || manifest.workerId === workerId) return;
    const text = `${doing}: worker ${manifest.workerId} answered at ${this.endpoint} where ${workerId} was asked for`;
    throw new WeightcastError('ERR_SOURCE_GONE', text, { peer: this.endpoint });
  }

  async #decode(reply: Buffer, doing: string): Promise<GetTensorManifestResponse> {
    try {
      const { entries } = collectEntries(reply, 1);
      // The list comes first on the wire of every known peer; where it does not, the rest is decoded with it.
      const isPrefix = reply.subarray(0, entries.length).equals(entries);
      const rest = GetTensorManifestResponse.decode(isPrefix ? reply.subarray(entries.length) : reply);
      return { ...rest, tensors: await decodeEntries(entries) };
    } catch (error) {
      throw this.#undecodable(error, doing);
    }
  }

  #split(reply: Buffer, doing: string): ReturnType<typeof splitPrepared> {
    try {
      return splitPrepared(reply);
    } catch (error) {
      throw this.#undecodable(error, doing);
    }
  }

  #undecodable(error: unknown, doing: string): WeightcastError {
    const text = `${doing}: the answer of ${this.endpoint} is none that its proto describes: ${String(error)}`;
    return new WeightcastError('ERR_PROTOCOL', text, { cause: error, peer: this.endpoint });
  }

  /** What makes a server unreachable makes a worker gone: the next source should be tried. */
  #translate(error: unknown, doing: string): WeightcastError {
    const ours = toWeightcastError(error, { doing, peer: this.endpoint });
    if (ours.code !== 'ERR_SERVER_UNREACHABLE' && ours.grpcStatus !== status.FAILED_PRECONDITION) return ours;
    const { peer, grpcStatus, grpcMessage } = ours;
    return new WeightcastError('ERR_SOURCE_GONE', ours.message, { cause: error, peer, grpcStatus, grpcMessage });
  }
}
