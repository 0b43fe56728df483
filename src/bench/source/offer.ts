/** The seed of a benchmark: tensors full of known bytes, and a metadata server of its own that tells of them. */
import { MetadataServer } from '../../metadata/server/server.js';
import { placeTensors, type TensorSpec } from '../../model/tensor.js';
import type { Logger } from '../../observe/logger.js';
import { Region } from '../../region.js';
import { seedTensors, type SeedSummary } from '../../seed/index.js';
import { Scope } from '../../target/scope.js';
import { fillContent } from './content.js';
import { requireMemory, totalBytes } from './memory.js';

/** Over which wire, as the options of seeds and pulls have it. */
export interface Wire {
  readonly transport: 'auto' | 'rdma' | 'tcp';
  readonly devices?: readonly string[];
  readonly gidIndex?: number;
  /** Where peers reach this host. */
  readonly host?: string;
}

export interface OfferOptions {
  /** Where its metadata server listens, `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** Who they are, as {@link identityOf} says. */
  readonly name: string;
  /** They lie one after the other in one region. */
  readonly specs: readonly TensorSpec[];
  /** Publish checksums, by which pulls verify. */
  readonly checksums: boolean;
  readonly wire: Wire;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

export interface Offer extends AsyncDisposable {
  /** `host:port` that the measuring side connects to. */
  readonly address: string;
  readonly summary: SeedSummary;
}

/** What is found under `name`; nothing but a benchmark of the same kind and size asks for it. */
export function identityOf(name: string): { readonly modelName: string } {
  return { modelName: `weightcast-bench/${name}` };
}

/** @throws what allocating, seeding and listening throw; nothing stays open then. */
export async function openOffer(options: OfferOptions): Promise<Offer> {
  const scope = new Scope();
  try {
    return await open(options, scope);
  } catch (error) {
    await scope.close();
    throw error;
  }
}

async function open({ listen, name, specs, checksums, wire, signal, logger }: OfferOptions, scope: Scope): Promise<Offer> {
  const tensors = placeTensors(specs);
  const bytes = totalBytes(specs);
  requireMemory(bytes, 'the seed');
  const region = await Region.allocate(bytes);
  scope.add(() => {
    region.close();
  });
  await fillContent(region, signal);
  const server = await MetadataServer.listen({ listen, logger });
  scope.add(() => server.close(0));
  const seed = await seedTensors(
    tensors.map((tensor) => ({ ...tensor, data: { region, offset: tensor.offset, byteLength: tensor.bytes } })),
    { identity: identityOf(name), server: server.address, checksums, drainTimeoutMs: 0, ...wire, local: false, logger, signal },
  );
  scope.add(() => seed.close());
  return { address: server.address, summary: seed.summary, [Symbol.asyncDispose]: () => scope.close() };
}
