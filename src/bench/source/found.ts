/** The seed of a benchmark as the measuring side finds it. */
import { WeightcastError } from '../../errors.js';
import { SourceStatus } from '../../gen/model_express/p2p.js';
import { MetadataClient } from '../../metadata/client.js';
import { identityOf } from './offer.js';

export interface FoundTensor {
  readonly name: string;
  readonly address: bigint;
  readonly bytes: bigint;
}

export interface Found {
  /** `host:port` of its handshake listener. */
  readonly session: string;
  readonly tensors: readonly FoundTensor[];
}

/**
 * Asks the metadata server of a seed that {@link openOffer} opened.
 * @throws ERR_NO_SOURCE when it offers something else, ERR_SERVER_UNREACHABLE.
 */
export async function findOffer(address: string, name: string, signal: AbortSignal): Promise<Found> {
  await using client = new MetadataClient(address);
  const filter = { identity: identityOf(name), statusFilter: SourceStatus.SOURCE_STATUS_READY };
  const [source] = await client.listSources(filter, signal);
  const published = source === undefined ? undefined : await client.getMetadata(source.mxSourceId, source.workerId, signal);
  const backend = published?.worker.backendMetadata;
  if (published === undefined || backend?.$case !== 'transferEngineSessionId') {
    throw new WeightcastError(
      'ERR_NO_SOURCE',
      `bench: ${address} does not offer ${name}; start the other side with --serve and the same flags`,
      {
        peer: address,
      },
    );
  }
  return {
    session: backend.value,
    tensors: published.worker.tensors.map(({ name: tensor, addr, size }) => ({ name: tensor, address: addr, bytes: size })),
  };
}
