/** A stored worker as listings name it: `SourceInstanceRef`, encoded once for as long as the listing is unchanged. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { SourceInstanceRef } from '../../gen/model_express/p2p.js';
import type { WorkerListing } from '../stores/store.js';

const encoded = new WeakMap<WorkerListing, Uint8Array>();

/** `ListSourcesResponse.instances`: tag, length and message of one worker. Not to be changed by the caller. */
export function renderInstance(worker: WorkerListing): Uint8Array {
  let bytes = encoded.get(worker);
  if (bytes === undefined) {
    // Memory of its own: a window of Node's pool would keep 8 KiB of other messages alive with it.
    bytes = encode(worker);
    encoded.set(worker, bytes);
  }
  return bytes;
}

function encode(worker: WorkerListing): Uint8Array {
  const { sourceId, workerId, source, workerRank, accelerator, updatedAt, topology, sourceLoad } = worker;
  const { modelName, trainingStep, layoutSignature } = source;
  const reference = { mxSourceId: sourceId, workerId, modelName, workerRank, accelerator, updatedAt, trainingStep, layoutSignature };
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).fork();
  return SourceInstanceRef.encode({ ...reference, topology, sourceLoad }, writer)
    .join()
    .finish();
}
