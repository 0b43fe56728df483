/** The seed's side of the queue pair exchange. */
import { toWeightcastError, WeightcastError } from '../errors.js';
import type { NativeNic } from '../native.js';
import type { Logger } from '../observe/logger.js';
import { rdmaDescriptor } from './descriptor.js';
import { EndpointTable, type Slot } from './endpoint-table.js';
import { type ConnectionMessage, splitNicPath } from './messages.js';
import { agreedMtu, legacyReads } from './negotiate.js';
import { PeerDirectory } from './peer-directory.js';
import { rejection } from './rejection.js';

/** Queue pairs of one Connection message. */
const maxCount = 64;
/** Host, port and device; the table keeps it. */
const maxPathLength = 600;

export interface ResponderOptions {
  /** The head of our NIC paths: the name that peers opened. A function, as the port is known only after listening. */
  readonly serverName: () => string;
  /** Opened by the caller, who closes them after the responder. */
  readonly nics: readonly NativeNic[];
  /** Over all readers; beyond it the oldest lose theirs. Default 8192. */
  readonly maxQueuePairs?: number | undefined;
  /** How long the replaced queue pairs of a path live on, ms. Default 2 000. */
  readonly retireGraceMs?: number | undefined;
  readonly logger?: Logger | undefined;
}

/**
 * Answers Connection messages with fresh queue pairs in RTS. There are no states of a path to get wrong: a reader that
 * starts anew, even with the numbers that it used before, expects packet sequence 0 on our side. Only a confirmation
 * (`ready_ack: true`) leaves everything as it is.
 */
export class Responder implements AsyncDisposable {
  readonly #serverName: () => string;
  readonly #nics: ReadonlyMap<string, NativeNic>;
  readonly #table: EndpointTable;
  readonly #directory = new PeerDirectory();
  readonly #closing = new AbortController();
  readonly #logger: Logger | undefined;
  readonly #pending = new Set<Promise<unknown>>();

  constructor(options: ResponderOptions) {
    this.#serverName = options.serverName;
    this.#nics = new Map(options.nics.map((nic) => [nic.device, nic]));
    this.#logger = options.logger;
    this.#table = new EndpointTable(options.maxQueuePairs ?? 8192, options.retireGraceMs ?? 2_000, options.logger);
  }

  /** Queue pairs held or being made. */
  get queuePairs(): number {
    return this.#table.queuePairs;
  }

  /** Takes the body of every Metadata request: that is where old readers say their GIDs. Ignores what is malformed. */
  remember(metadataRequest: unknown): void {
    this.#directory.remember(metadataRequest);
  }

  /** Never rejects: what goes wrong becomes a reply with a reason. */
  async handle(request: ConnectionMessage): Promise<ConnectionMessage> {
    const reply = this.#reply(request);
    this.#pending.add(reply);
    try {
      return await reply;
    } catch (error) {
      const { code, message } = toWeightcastError(error);
      this.#logger?.warn('connection rejected', {
        reader: clip(request.localNicPath),
        path: clip(request.peerNicPath),
        code,
        reason: message,
      });
      return rejection(request, message);
    } finally {
      this.#pending.delete(reply);
    }
  }

  /** Destroys all queue pairs; readers lose them in the middle of what they do. The NICs may be closed afterwards. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#table.close();
    await Promise.allSettled(this.#pending);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #reply(request: ConnectionMessage): Promise<ConnectionMessage> {
    if (request.readyAck === true) return { ...rejection(undefined, ''), replyMessage: '' };
    const nic = this.#addressedNic(request);
    if (request.weightcast?.close === true) {
      await this.#table.release(pathKey(nic, request), request.queuePairs);
      return { ...rejection(request, ''), replyMessage: '' };
    }
    return this.#connect(nic, request);
  }

  #addressedNic(request: ConnectionMessage): NativeNic {
    const own = this.#serverName();
    const path = splitNicPath(request.peerNicPath);
    if (path?.server !== own) {
      throw new WeightcastError(
        'ERR_HANDSHAKE',
        `peer nic path inconsistency: expected ${own}@<device> but received ${clip(request.peerNicPath)}`,
      );
    }
    const nic = this.#nics.get(path.device);
    if (nic === undefined) {
      const devices = [...this.#nics.keys()].join(', ') || 'none';
      throw new WeightcastError('ERR_HANDSHAKE', `${own} has no RDMA device ${clip(path.device)}; it has: ${devices}`);
    }
    return nic;
  }

  async #connect(nic: NativeNic, request: ConnectionMessage): Promise<ConnectionMessage> {
    const count = request.queuePairs.length;
    if (count < 1 || count > maxCount) {
      throw new WeightcastError('ERR_HANDSHAKE', `expected 1 to ${String(maxCount)} queue pairs in qp_num but received ${String(count)}`);
    }
    if (request.localNicPath.length > maxPathLength) {
      throw new WeightcastError('ERR_HANDSHAKE', `expected at most ${String(maxPathLength)} characters as local_nic_path`);
    }
    const { gid, lid } = await this.#readerAddress(request);
    const slot = await this.#table.reserve(pathKey(nic, request), request.queuePairs);
    const numbers = await this.#establish(nic, slot, request, gid, lid);
    this.#logger?.debug('reader connected', { reader: request.localNicPath, device: nic.device, queuePairs: count });
    return {
      localNicPath: request.peerNicPath,
      peerNicPath: request.localNicPath,
      queuePairs: numbers,
      replyMessage: '',
      localGid: nic.gid,
      localLid: nic.lid,
      weightcast: request.weightcast && { version: 1, maxReads: nic.maxResponderReads, mtu: nic.mtu, close: true },
    };
  }

  /** Readers post as soon as they have the reply: everything is in RTS before it is sent. */
  async #establish(nic: NativeNic, slot: Slot, request: ConnectionMessage, gid: string, lid: number): Promise<number[]> {
    const { weightcast, queuePairs } = request;
    try {
      // A responder posts nothing; one work request is the least that verbs accept.
      const endpoint = await nic.createEndpoint('responder', queuePairs.length, 1);
      try {
        await endpoint.connect({
          gid,
          lid,
          numbers: Uint32Array.from(queuePairs),
          pathMtu: agreedMtu(nic.mtu, weightcast?.mtu),
          maxReads: Math.max(legacyReads, Math.min(nic.maxResponderReads, weightcast?.maxReads ?? legacyReads)),
        });
        this.#table.commit(slot, endpoint);
      } catch (error) {
        await endpoint.close().catch(() => undefined);
        throw error;
      }
      return Array.from(endpoint.numbers);
    } catch (error) {
      await this.#table.drop(slot);
      throw toWeightcastError(error, { doing: `connecting ${nic.device} with ${request.localNicPath}` });
    }
  }

  async #readerAddress(request: ConnectionMessage): Promise<{ readonly gid: string; readonly lid: number }> {
    if (request.localGid !== '') return { gid: request.localGid, lid: request.localLid };
    const path = splitNicPath(request.localNicPath);
    if (path === undefined) {
      throw new WeightcastError('ERR_HANDSHAKE', `expected host:port@device as local_nic_path but received ${clip(request.localNicPath)}`);
    }
    const own = rdmaDescriptor({
      name: this.#serverName(),
      devices: [...this.#nics.values()].map((nic) => ({ name: nic.device, gid: nic.gid, lid: nic.lid })),
    });
    return this.#directory.find(path.server, path.device, own, this.#closing.signal);
  }
}

/** A stranger's text may be a mebibyte long. */
function clip(text: string): string {
  return text.length > 200 ? `${text.slice(0, 197)}...` : text;
}

function pathKey(nic: NativeNic, request: ConnectionMessage): string {
  return `${nic.device} <- ${request.localNicPath}`;
}
