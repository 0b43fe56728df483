/** `WorkerMetadata` of a client: objects on one side, bytes on the other, the tensor list in batches. */
import { WorkerMetadata } from '../../gen/model_express/p2p.js';
import { field } from './fields.js';
import { decodeEntries, encodeEntries, legacyTag, retag } from './tensor-entries.js';
import { parseWorker } from './worker.js';

const tensorSourceField = 20;

/** Encodes a worker, in parts. A list that stands under both `tensors` and `tensorSource` is encoded once. */
export async function encodeWorker(worker: WorkerMetadata): Promise<Buffer[]> {
  const source = worker.sourcePayload?.$case === 'tensorSource' ? worker.sourcePayload.value.tensors : undefined;
  const envelope = { ...worker, tensors: [], sourcePayload: source === undefined ? worker.sourcePayload : undefined };
  const parts = [Buffer.from(WorkerMetadata.encode(envelope).finish())];
  const entries = await encodeEntries(source ?? worker.tensors);
  if (source === undefined) return [...parts, retag(entries, legacyTag)];
  const legacy = source === worker.tensors ? entries : await encodeEntries(worker.tensors);
  return [...parts, retag(legacy, legacyTag), ...field(tensorSourceField, [entries])];
}

/**
 * Decodes a worker that a server answered with. Both `tensors` and `tensorSource` of the result are one and the same
 * array, whichever of them the server filled.
 */
export async function decodeWorker(message: Buffer): Promise<WorkerMetadata> {
  const { envelope, status, updatedAt, payload } = parseWorker(message);
  const worker: WorkerMetadata = { ...WorkerMetadata.decode(envelope), status, updatedAt };
  if (payload.kind === 'artifact') {
    return { ...worker, sourcePayload: WorkerMetadata.decode(Buffer.concat(field(21, [payload.message]))).sourcePayload };
  }
  const tensors = await decodeEntries(payload.entries);
  return { ...worker, tensors, sourcePayload: { $case: 'tensorSource', value: { tensors } } };
}
