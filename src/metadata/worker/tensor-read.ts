/** Leases on a worker's tensors, as its clients hold them. */
import { WireType } from '@bufbuild/protobuf/wire';
import type { GetTensorManifestResponse } from '../../gen/model_express/p2p.js';
import { FieldReader, subMessage } from '../wire/fields.js';

/** A worker does not change its tensors while somebody holds a lease on them. */
export interface TensorRead {
  readonly leaseId: string;
  readonly manifest: GetTensorManifestResponse;
  /**
   * Gives the lease back; only the first call does anything. Resolves to false when the worker had ended it before: the
   * tensors may have changed in the meantime. Rejects when the worker cannot be asked; it ends the lease by itself then.
   */
  release(): Promise<boolean>;
}

/** A PrepareTensorReadResponse with its manifest still encoded. Throws RangeError or Error on bytes that are none. */
export function splitPrepared(reply: Buffer): { readonly leaseId: string; readonly manifest: Buffer } {
  let leaseId = '';
  const reader = new FieldReader(reply);
  while (reader.next()) {
    if (reader.field === 1 && reader.wireType === WireType.LengthDelimited) leaseId = reader.bytes().toString('utf8');
  }
  return { leaseId, manifest: subMessage(reply, 2) ?? Buffer.alloc(0) };
}
