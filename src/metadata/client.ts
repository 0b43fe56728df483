/** The client of a metadata server: ours, or ModelExpress' own. */
import { WireType } from '@bufbuild/protobuf/wire';
import { toWeightcastError, WeightcastError } from '../errors.js';
import {
  type GetMetadataRequest,
  ListSourcesRequest,
  P2pServiceService as P2pService,
  type PublishMetadataResponse,
  SourceIdentity,
  type SourceInstanceRef,
  type SourceStatus,
  type WorkerMetadata,
} from '../gen/model_express/p2p.js';
import { type ReportTransferRequest, TransferServiceService as TransferService } from '../gen/weightcast/transfers.js';
import { completeIdentity, decodeIdentity } from '../identity/index.js';
import type { Logger } from '../observe/logger.js';
import { formatAddress, parseTarget } from '../rpc/address.js';
import { type Method, RpcClient } from '../rpc/rpc-client.js';
import type { ClientSecurity } from '../security/tls-files.js';
import { field, FieldReader, subMessage } from './wire/fields.js';
import { decodeWorker, encodeWorker } from './wire/worker-codec.js';

/** Where a metadata server listens when nothing else is said. */
export const defaultServerPort = 8001;

const defaultTimeoutMs = 30_000;

// Requests and replies with tensor lists are handled as bytes, so that the lists can be coded in batches.
const publishBytes: Method<Buffer, PublishMetadataResponse> = { ...P2pService.publishMetadata, requestSerialize: (bytes) => bytes };
const getBytes: Method<GetMetadataRequest, Buffer> = { ...P2pService.getMetadata, responseDeserialize: (bytes) => bytes };

/** Filters of {@link MetadataClient.listSources}; an absent one does not filter. */
export type ListSourcesFilter = Partial<Omit<ListSourcesRequest, 'identity'>> & {
  /** Filters when its model name is not empty: by the source id of the whole identity. */
  readonly identity?: Partial<SourceIdentity> | undefined;
};

/** A Kubernetes pod, as its own environment names it. A server that keeps records in Kubernetes lets them go with it. */
export interface Pod {
  readonly name?: string | undefined;
  readonly uid?: string | undefined;
  readonly namespace?: string | undefined;
}

/** What was published, with the live status and time. */
export interface PublishedWorker {
  /** `tensors` and `sourcePayload` hold one and the same array. Status and time are the server's. */
  readonly worker: WorkerMetadata;
  /** `undefined` when the server does not keep it. */
  readonly identity: SourceIdentity | undefined;
}

/** How a {@link MetadataClient} calls. */
export interface MetadataClientOptions {
  /** Deadline of each call; default 30 000. */
  readonly timeoutMs?: number | undefined;
  /** Certificates and bearer token. Default: no token, and clear text unless the address begins with `https://`. */
  readonly security?: ClientSecurity | undefined;
  /** Hears, once, of a token file that cannot be used. Default: nobody. */
  readonly logger?: Logger | undefined;
}

/**
 * Connects at the first call; no call waits for a server that cannot be reached. A call that fails rejects with
 * ERR_SERVER_UNREACHABLE (no connection, or no answer in time) or ERR_SERVER (the server refused, for example a message
 * above 100 MiB), with gRPC's status, the server's own message and its address; with ERR_UNAUTHENTICATED or
 * ERR_PERMISSION_DENIED for a token that the server does not take, ERR_OVERLOADED for a limit of the server, ERR_TLS
 * when a certificate is in the way; with ERR_ABORTED when its signal fires; with ERR_CLOSED after `close`. HTTP proxies of the environment are not used.
 */
export class MetadataClient implements AsyncDisposable {
  /** `host:port`. */
  readonly server: string;
  readonly #rpc: RpcClient;

  /**
   * @param server `host:port`, where the port defaults to 8001. With `https://` in front, or with `security.tls`, TLS is
   * spoken; a leading `http://` says nothing.
   * @throws ERR_INVALID_ARGUMENT when `server` is no such address, ERR_TLS when a file of `security.tls` cannot be used.
   */
  constructor(server: string, options: MetadataClientOptions = {}) {
    const { tls, ...address } = parseTarget(server, defaultServerPort);
    const { security, logger } = options;
    this.server = formatAddress(address);
    this.#rpc = new RpcClient({
      address,
      security: { ...security, tls: security?.tls ?? (tls ? {} : undefined) },
      logger,
      timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
      translate: (error, doing) => toWeightcastError(error, { doing, peer: this.server }),
    });
  }

  /**
   * Stores a worker over what the server holds for its (source, worker, rank), and resolves to the source id that the
   * server computed. A list given under both `tensors` and `sourcePayload` (the same array) is encoded once.
   *
   * @throws ERR_PUBLISH_REFUSED with the server's message when it answers success=false.
   */
  async publish(
    request: {
      readonly identity: Partial<SourceIdentity>;
      readonly worker: WorkerMetadata;
      readonly workerId: string;
      readonly pod?: Pod | undefined;
    },
    signal?: AbortSignal,
  ): Promise<string> {
    const identity = Buffer.from(SourceIdentity.encode(completeIdentity(request.identity)).finish());
    const worker = await encodeWorker(request.worker);
    const { name = '', uid = '', namespace = '' } = request.pod ?? {};
    const texts = [request.workerId, name, uid, namespace].flatMap((text, index) =>
      text === '' ? [] : field(3 + index, [Buffer.from(text)]),
    );
    const bytes = Buffer.concat([...field(1, [identity]), ...field(2, worker), ...texts]);
    const reply = await this.#rpc.unary(publishBytes, bytes, { doing: 'cannot publish metadata', signal });
    if (reply.success) return reply.mxSourceId;
    throw new WeightcastError('ERR_PUBLISH_REFUSED', `the metadata server at ${this.server} refused to publish: ${reply.message}`, {
      peer: this.server,
      grpcMessage: reply.message,
    });
  }

  /** Sources that match all filters, newest heartbeat first. Servers answer with an empty list when their storage fails. */
  async listSources(filter: ListSourcesFilter, signal?: AbortSignal): Promise<SourceInstanceRef[]> {
    const { identity, ...rest } = filter;
    const request: ListSourcesRequest = {
      ...ListSourcesRequest.create(rest),
      identity: identity === undefined ? undefined : completeIdentity(identity),
    };
    return (await this.#rpc.unary(P2pService.listSources, request, { doing: 'cannot list sources', signal })).instances;
  }

  /** One worker of a source, whatever its status; `undefined` when the server does not know it. */
  async getMetadata(mxSourceId: string, workerId: string, signal?: AbortSignal): Promise<PublishedWorker | undefined> {
    const doing = 'cannot get metadata';
    const reply = await this.#rpc.unary(getBytes, { mxSourceId, workerId }, { doing, signal });
    try {
      const worker = subMessage(reply, 2);
      if (worker === undefined || !isFound(reply)) return undefined;
      const identity = subMessage(reply, 5);
      return { worker: await decodeWorker(worker), identity: identity === undefined ? undefined : decodeIdentity(identity) };
    } catch (error) {
      throw new WeightcastError('ERR_PROTOCOL', `${doing}: the answer of ${this.server} is no GetMetadataResponse: ${String(error)}`, {
        cause: error,
        peer: this.server,
      });
    }
  }

  /** Heartbeat. success=false, which is no error here, most often means that the server does not know the worker (any more). */
  updateStatus(
    request: {
      readonly mxSourceId: string;
      readonly workerId: string;
      readonly workerRank: number;
      readonly status: SourceStatus;
      /** 0 idle to 1 busy; absent: unknown. */
      readonly sourceLoad?: number;
    },
    signal?: AbortSignal,
  ): Promise<{ success: boolean; message: string }> {
    return this.#rpc.unary(P2pService.updateStatus, request, { doing: 'cannot update status', signal });
  }

  /** Tells of a transfer, for people who watch; a server without weightcast.v1.TransferService answers UNIMPLEMENTED (ERR_SERVER). */
  async reportTransfer(report: ReportTransferRequest, signal?: AbortSignal): Promise<void> {
    await this.#rpc.unary(TransferService.reportTransfer, report, { doing: 'cannot report a transfer', signal });
  }

  /** Idempotent. */
  close(): void {
    this.#rpc.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

function isFound(reply: Buffer): boolean {
  let found = false;
  const reader = new FieldReader(reply);
  while (reader.next()) {
    if (reader.field === 1 && reader.wireType === WireType.Varint) found = reader.uint32() !== 0;
  }
  return found;
}
