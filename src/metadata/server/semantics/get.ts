/** GetMetadata: one worker with all that it published, spliced together from stored bytes. */
import { type GetMetadataRequest, GetMetadataResponse } from '../../../gen/model_express/p2p.js';
import { MessageParts } from '../../../rpc/message-parts.js';
import type { MetadataStore } from '../../stores/store.js';
import { field } from '../../wire/fields.js';
import { renderWorker } from '../../wire/worker.js';
import { type Answer, done, invalid, missing } from './answer.js';

/**
 * Answers with an encoded `GetMetadataResponse`. Workers of any status and age are answered; of several ranks the
 * lowest is. Nothing large is copied: the reply's parts are those that the store handed out.
 *
 * @throws what the store throws.
 */
export async function getMetadata(store: MetadataStore, request: GetMetadataRequest): Promise<Answer<MessageParts>> {
  const { mxSourceId, workerId } = request;
  if (mxSourceId === '' || workerId === '') return invalid(metadataNotFound('', ''));
  const stored = await store.get(mxSourceId, workerId);
  if (stored === undefined) return missing(metadataNotFound(mxSourceId, workerId));
  const identity = stored.source === undefined ? [] : field(5, [stored.source.identity]);
  return done(new MessageParts([encode({ found: true, mxSourceId, workerId }), ...identity, ...field(2, renderWorker(stored.worker))]));
}

export function metadataNotFound(mxSourceId: string, workerId: string): MessageParts {
  return new MessageParts([encode({ found: false, mxSourceId, workerId })]);
}

function encode(reply: Pick<GetMetadataResponse, 'found' | 'mxSourceId' | 'workerId'>): Uint8Array {
  return GetMetadataResponse.encode(reply).finish();
}
