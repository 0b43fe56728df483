/** A worker's tensor manifest on the wire. The list is encoded once and goes out from where it lies. */
import { GetTensorManifestResponse } from '../../gen/model_express/p2p.js';
import { MessageParts } from '../../rpc/message-parts.js';
import { field } from '../wire/fields.js';
import { encodeEntries } from '../wire/tensor-entries.js';
import type { ServedSource } from './served-source.js';

export class ManifestReply {
  readonly #source: ServedSource;
  #entries: Promise<Buffer> | undefined;

  constructor(source: ServedSource) {
    this.#source = source;
  }

  /** A GetTensorManifestResponse. */
  async manifest(): Promise<MessageParts> {
    return new MessageParts(await this.#manifest());
  }

  /** A PrepareTensorReadResponse. */
  async prepared(leaseId: string): Promise<MessageParts> {
    return new MessageParts([...field(1, [Buffer.from(leaseId)]), ...field(2, await this.#manifest())]);
  }

  async #manifest(): Promise<Buffer[]> {
    const { worker, sourceId } = this.#source;
    // Entries are what a list under field 1 looks like, so that they can stand in the reply as they are.
    this.#entries ??= encodeEntries(worker.tensors);
    const entries = await this.#entries;
    const { workerId, workerRank, accelerator, metadataEndpoint = '', agentName = '' } = worker;
    const envelope: GetTensorManifestResponse = {
      tensors: [],
      mxSourceId: sourceId() ?? '',
      metadataEndpoint,
      agentName,
      workerRank,
      accelerator,
      workerId,
    };
    return [entries, Buffer.from(GetTensorManifestResponse.encode(envelope).finish())];
  }
}
