/** PublishMetadata: what is checked, stored and answered. */
import { WireType } from '@bufbuild/protobuf/wire';
import type { PublishMetadataResponse } from '../../../gen/model_express/p2p.js';
import { decodeIdentity, mxSourceId } from '../../../identity/index.js';
import { attributesField } from '../../stores/reserved.js';
import type { MetadataStore } from '../../stores/store.js';
import { FieldReader, merge } from '../../wire/fields.js';
import { parseWorker } from '../../wire/worker.js';
import { type Answer, done, invalid, reading } from './answer.js';
import { sourceAttributes } from './attributes.js';

/**
 * Stores one worker as a whole, over what was there; status and time are kept exactly as sent. Nothing of it is
 * validated but that the four parts are there.
 *
 * @param request a `PublishMetadataRequest` message, encoded.
 * @throws what the store throws; MalformedRequest on bytes that are no such message.
 */
export async function publishMetadata(store: MetadataStore, request: Buffer): Promise<Answer<PublishMetadataResponse>> {
  const { identity: encoded, worker: message, workerId } = reading(() => split(request));
  if (encoded === undefined) return invalid(publishRefused('identity is required'));
  const identity = reading(() => decodeIdentity(encoded));
  if (identity.modelName === '') return invalid(publishRefused('identity.model_name is required'));
  if (workerId === '') return invalid(publishRefused('worker_id is required'));
  if (message === undefined) return invalid(publishRefused('worker is required'));
  if (workerId === attributesField) return invalid(publishFailed(`worker_id '${workerId}' is reserved; choose another`));

  const worker = reading(() => parseWorker(message));
  const sourceId = mxSourceId(identity);
  await store.publish(sourceId, workerId, sourceAttributes(identity, Buffer.from(encoded)), worker);
  const tensors = worker.payload.kind === 'tensors' ? worker.payload.count : 0;
  const where = `source_id=${sourceId}, worker_id=${workerId}, worker_rank=${String(worker.workerRank)}`;
  return done({
    success: true,
    message: `Published metadata for '${identity.modelName}' (${where}, ${String(tensors)} tensors)`,
    mxSourceId: sourceId,
    workerId,
  });
}

export function publishFailed(reason: string): PublishMetadataResponse {
  return publishRefused(`Failed to publish metadata: ${reason}`);
}

function publishRefused(message: string): PublishMetadataResponse {
  return { success: false, message, mxSourceId: '', workerId: '' };
}

/** Pod name, uid and namespace (fields 4 to 6) matter to Kubernetes stores only. */
function split(request: Buffer): { identity: Buffer | undefined; worker: Buffer | undefined; workerId: string } {
  const parts = { identity: [] as Buffer[], worker: [] as Buffer[], workerId: '' };
  const reader = new FieldReader(request);
  while (reader.next()) {
    if (reader.wireType !== WireType.LengthDelimited) continue;
    if (reader.field === 1) parts.identity.push(reader.bytes());
    else if (reader.field === 2) parts.worker.push(reader.bytes());
    else if (reader.field === 3) parts.workerId = reader.bytes().toString();
  }
  return { identity: merge(parts.identity), worker: merge(parts.worker), workerId: parts.workerId };
}
