/** GetMetadata: one worker with all that it published, spliced together from stored bytes. */
import { type GetMetadataRequest, GetMetadataResponse } from '../../../gen/model_express/p2p.js';
import type { MetadataStore } from '../../stores/store.js';
import { field } from '../../wire/fields.js';
import { renderWorker } from '../../wire/worker.js';

/**
 * Answers with an encoded `GetMetadataResponse`. Workers of any status and age are answered; of several ranks the
 * lowest is.
 */
export async function getMetadata(store: MetadataStore, request: GetMetadataRequest): Promise<Buffer> {
  const { mxSourceId, workerId } = request;
  if (mxSourceId === '' || workerId === '') return metadataNotFound('', '');
  const stored = await store.get(mxSourceId, workerId);
  if (stored === undefined) return metadataNotFound(mxSourceId, workerId);
  const parts = [encode({ found: true, mxSourceId, workerId }), ...field(2, renderWorker(stored.worker))];
  if (stored.source !== undefined) parts.push(...field(5, [stored.source.identity]));
  return Buffer.concat(parts);
}

export function metadataNotFound(mxSourceId: string, workerId: string): Buffer {
  return encode({ found: false, mxSourceId, workerId });
}

function encode(reply: Pick<GetMetadataResponse, 'found' | 'mxSourceId' | 'workerId'>): Buffer {
  return Buffer.from(GetMetadataResponse.encode(reply).finish());
}
