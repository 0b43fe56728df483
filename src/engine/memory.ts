/** Memory of an inference engine in another process, as tensors of a seed or of a pull. */
import { WeightcastError, toWeightcastError } from '../errors.js';
import { native } from '../native.js';
import { Region } from '../region.js';
import { EngineConnection } from './connection.js';
import { descriptorsOf, parseMessage, type EngineAllocation, type EngineDevice, type EngineMessage } from './message.js';

export interface EngineOptions {
  /** Whether a pull may write into the memory. */
  readonly writable: boolean;
  /** How long the engine may take to answer and to say what it has. Milliseconds; default 30 000. */
  readonly timeoutMs?: number;
  /** Aborts opening. */
  readonly signal?: AbortSignal;
}

/** A tensor for `seedTensors`, and for a pull into `{ kind: 'tensors' }`. */
export interface EngineTensorMemory {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: { readonly region: Region; readonly offset: bigint; readonly byteLength: bigint };
}

/** An engine's memory, mapped here, on a lease that lasts until either side ends the connection. */
export class EngineMemory {
  private constructor(
    private readonly connection: EngineConnection,
    private readonly regions: readonly Region[],
    readonly tensors: readonly EngineTensorMemory[],
  ) {}

  /**
   * Connects to the engine that listens at `path` and maps what it offers.
   * @throws ERR_NOT_FOUND when nobody listens, ERR_PROTOCOL naming what is wrong with its message, ERR_PEER_LOST, ERR_STALLED,
   *   ERR_INVALID_ARGUMENT for memory of this very process, ERR_DEVICE_NOT_FOUND for a GPU that is not visible here,
   *   ERR_ACCELERATOR_UNAVAILABLE, ERR_ACCELERATOR, ERR_OUT_OF_MEMORY, ERR_ABORTED. Nothing stays mapped then; the engine is told why.
   */
  static async open(path: string, { writable, timeoutMs = 30_000, signal }: EngineOptions): Promise<EngineMemory> {
    signal?.throwIfAborted();
    const connection = await EngineConnection.open(path, timeoutMs);
    const late = AbortSignal.timeout(timeoutMs);
    const stop = AbortSignal.any([late, ...(signal === undefined ? [] : [signal])]);
    const onStop = (): void => void connection.close();
    stop.addEventListener('abort', onStop);
    const regions: Region[] = [];
    try {
      stop.throwIfAborted();
      const message = parseMessage(await connection.line());
      await connection.descriptors(descriptorsOf(message));
      for (const [index, each] of message.allocations.entries()) {
        regions.push(await importOne(connection, each, `allocations[${String(index)}]`, writable));
      }
      stop.throwIfAborted();
      stop.removeEventListener('abort', onStop);
      connection.watch();
      return new EngineMemory(connection, regions, tensorsOf(message, regions));
    } catch (error) {
      stop.removeEventListener('abort', onStop);
      const reason = late.aborted
        ? new WeightcastError('ERR_STALLED', `the engine at ${path} did not say what memory it has within ${String(timeoutMs)} ms`)
        : toWeightcastError(signal?.aborted === true ? signal.reason : error, { doing: `cannot use the memory of the engine at ${path}` });
      for (const region of regions) region.close();
      await connection.tell({ state: 'failed', error: reason.message });
      await connection.close();
      throw reason;
    }
  }

  /** Resolves with the reason when the engine ends the lease, with `undefined` after {@link close}. Never rejects. */
  get ended(): Promise<WeightcastError | undefined> {
    return this.connection.ended;
  }

  /** Tells the engine that its tensors are on offer now. */
  async serving(): Promise<void> {
    await this.connection.tell({ state: 'serving' });
  }

  /**
   * Says how it went and lets go of the memory; the engine sees the end of the connection once nothing of it is mapped here, after seeds and
   * pulls that use it have ended. Idempotent.
   * @param error - why it failed; nothing: it did not.
   */
  async close(error?: unknown): Promise<void> {
    for (const region of this.regions) region.close();
    await this.connection.tell(error === undefined ? { state: 'done' } : { state: 'failed', error: toWeightcastError(error).message });
    await this.connection.close();
  }
}

async function importOne(connection: EngineConnection, allocation: EngineAllocation, at: string, writable: boolean): Promise<Region> {
  const ordinal = await ordinalOf(allocation.device, at);
  const { handle } = connection;
  return Region.of(
    `${at} of the engine's memory`,
    allocation.kind === 'legacy'
      ? handle.importAllocation(ordinal, allocation.handle, allocation.bytes, writable)
      : handle.importChunks(ordinal, allocation.chunks, writable),
  );
}

async function ordinalOf(device: EngineDevice, at: string): Promise<number> {
  if ('cuda' in device) return device.cuda;
  const { accelerators, drivers } = await native().listAccelerators();
  const cuda = accelerators.filter(({ kind }) => kind === 'cuda');
  // Some say the domain with eight digits.
  const found = cuda.find(({ pciAddress }) => pciAddress === device.pciAddress.slice(-12));
  if (found !== undefined) return found.ordinal;
  const reason = drivers.find(({ kind }) => kind === 'cuda')?.reason ?? '';
  if (cuda.length === 0) throw new WeightcastError('ERR_ACCELERATOR_UNAVAILABLE', `${at} is on the GPU at ${device.pciAddress}: ${reason}`);
  const visible = cuda.map(({ ordinal, pciAddress }) => `cuda:${String(ordinal)} at ${pciAddress}`).join(', ');
  throw new WeightcastError(
    'ERR_DEVICE_NOT_FOUND',
    `${at} is on the GPU at ${device.pciAddress}, which this process does not see (CUDA_VISIBLE_DEVICES); it sees ${visible}`,
  );
}

function tensorsOf({ tensors }: EngineMessage, regions: readonly Region[]): EngineTensorMemory[] {
  return tensors.map(({ name, dtype, shape, bytes, allocation, offset }) => {
    const region = regions[allocation];
    if (region === undefined) throw new RangeError(`tensor ${name} has no region`);
    return { name, dtype, shape, data: { region, offset, byteLength: bytes } };
  });
}
