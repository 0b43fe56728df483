/** Who hands a seed's tensor list out: the metadata server, or the seed itself. */
import { WeightcastError } from '../errors.js';
import type { TensorDescriptor } from '../gen/model_express/p2p.js';
import { entriesSize } from '../metadata/wire/entries-size.js';
import { maxMessageBytes } from '../rpc/limits.js';

/** `central`: the list is in the server's record. `worker`: peers ask the seed's own endpoint. `auto`: central where it fits. */
export type ManifestMode = 'auto' | 'central' | 'worker';

export interface ManifestDecision {
  readonly mode: 'central' | 'worker';
  /** Where the decision or its consequences are not what one would expect; `''` else. */
  readonly note: string;
}

/** gRPC's own limit, which ModelExpress' Python clients have towards workers. Bytes. */
const pythonReceiveLimit = 4 * 1024 * 1024;

/** Everything of a message that is not the list: identity, endpoints, topology. Bytes. */
const envelopeRoom = 64 * 1024;

/**
 * @param listBytes of the encoded list; overridden by tests. A record holds the list twice, once for peers that know only
 * the older field.
 * @throws ERR_INVALID_ARGUMENT when the list is too large for what was asked for, or for any message.
 */
export function decideManifest(
  asked: ManifestMode,
  tensors: readonly TensorDescriptor[],
  listBytes = entriesSize(tensors),
): ManifestDecision {
  const count = tensors.length;
  const fitsRecord = 2 * listBytes + envelopeRoom <= maxMessageBytes;
  if (listBytes + envelopeRoom > maxMessageBytes) {
    throw tooLarge(`the list of ${count} tensors has ${listBytes} bytes, more than a message may have; offer it in shards (ranks)`);
  }
  if (asked === 'central' && !fitsRecord) {
    throw tooLarge(
      `the list of ${count} tensors has ${listBytes} bytes, too many for the server's record; use manifest "worker" or "auto"`,
    );
  }
  if (asked === 'central' || (asked === 'auto' && fitsRecord)) return { mode: 'central', note: '' };
  const because =
    asked === 'auto' ? `the tensor list of ${listBytes} bytes is too large for the server's record, so the seed hands it out` : '';
  const python =
    listBytes > pythonReceiveLimit
      ? `the tensor list has ${listBytes} bytes (${count} tensors): ModelExpress' Python clients take no more than ${pythonReceiveLimit} from a worker`
      : '';
  return { mode: 'worker', note: [because, python].filter((text) => text !== '').join('; ') };
}

function tooLarge(reason: string): WeightcastError {
  return new WeightcastError('ERR_INVALID_ARGUMENT', `seed: ${reason} (limit ${maxMessageBytes} bytes)`);
}
