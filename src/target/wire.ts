/** The wire phase: one native transfer, sampled. */
import { availableParallelism } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { hashingBehind, hashingOf, type Hashing } from '../checksum.js';
import { WeightcastError, toWeightcastError } from '../errors.js';
import { native, type NativeOutcome, type NativeTransfer, type NativeTransferOptions } from '../native.js';
import { settled } from '../native-task.js';
import type { Connection } from './connection.js';
import type { Landing, Placement } from './destinations/index.js';
import type { OpenWire } from './open-wire.js';

/** Resolution of the event loop's watch, ms: blocks much shorter than that are seen by chance. Each look wakes the thread, which on a busy processor takes time from the lanes. */
const WATCH_MS = 100;

/** How often is asked for landed chunks, ms: in which a rail of 400 Gb/s brings 30 of them. */
const LANDING_MS = 10;

export interface WireOptions {
  readonly merge: boolean;
  /** Tensors, by index, whose checksums are wanted. */
  readonly checksums: readonly number[];
  readonly peer: string;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (bytes: bigint, totalBytes: bigint) => void;
}

export interface WireResult {
  readonly outcome: NativeOutcome;
  /** The checksums that were wanted. */
  readonly hashing: Hashing;
  /** Longest time that the event loop was blocked, ms. */
  readonly eventLoopMaxDelayMs: number;
}

/**
 * Reads every tensor of the placement. Settles only when no byte can land any more.
 * @throws ERR_ABORTED, ERR_PEER_LOST, ERR_REMOTE_ACCESS, ERR_STALLED, ERR_PROTOCOL, ERR_VERBS; what the placement's `landing` throws.
 */
export async function transfer(
  { connection, sliceBytes, staging, deviceMemory }: Pick<OpenWire, 'connection' | 'sliceBytes' | 'staging' | 'deviceMemory'>,
  placement: Placement,
  options: WireOptions,
): Promise<WireResult> {
  const columns = columnsOf(placement);
  // Behind the lanes the processor hashes what it can load.
  const behind = deviceMemory === undefined ? options.checksums : [];
  const watch = monitorEventLoopDelay({ resolution: WATCH_MS });
  watch.enable();
  const running = native().startTransfer({
    ...columns,
    regions: placement.regions,
    bufferAddress: connection.bufferAddress,
    bufferLength: connection.bufferLength,
    lanes: connection.lanes.map((open) => open.lane),
    sliceBytes,
    maxSegments: connection.maxSegments,
    merge: options.merge,
    ...checksumsWanted(behind, placement.tensors.length, connection),
    ...(placement.landing !== undefined && { chunks: { region: placement.landing.region, bytes: placement.landing.chunkBytes } }),
    ...(staging !== undefined && { staging: staging.region.handle }),
  });
  const telling = tellLandings(running, placement.landing);
  try {
    const outcome = await settled(running, options.signal, options.onProgress).catch((error: unknown) => {
      throw toWeightcastError(error, { doing: 'cannot plan the reads', peer: options.peer });
    });
    telling.end();
    if (outcome.fault !== undefined) throw failed(outcome, options);
    const hashing = outcome.follower === undefined ? hashingLater(placement, options.checksums) : hashingBehind(outcome.follower, behind);
    return { outcome, hashing, eventLoopMaxDelayMs: Math.max(0, watch.max / 1e6 - WATCH_MS) };
  } finally {
    telling.stop();
    watch.disable();
  }
}

interface Telling {
  /** @throws what the listener threw. */
  end(): void;
  stop(): void;
}

/** Tells of landed chunks until stopped. A listener that throws ends the transfer. */
function tellLandings(running: NativeTransfer, landing: Landing | undefined): Telling {
  if (landing === undefined) return { end: () => undefined, stop: () => undefined };
  let refusal: { readonly reason: unknown } | undefined;
  const timer = setInterval(() => {
    try {
      landing.landed(running.takeLanded());
    } catch (reason) {
      refusal = { reason };
      clearInterval(timer);
      running.cancel();
    }
  }, LANDING_MS);
  return {
    end: () => {
      if (refusal !== undefined) throw refusal.reason;
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}

/** Of tensors that are there without a wire phase. */
export function nothingRead(bytes: bigint): WireResult {
  const outcome = { bytes, planMs: 0, wireMs: 0, slices: 0, lanes: [], follower: undefined, fault: undefined };
  return { outcome, hashing: nothingHashed, eventLoopMaxDelayMs: 0 };
}

/** Of tensors where they landed. */
export function hashingLater({ regions, tensors, at }: Placement, rows: readonly number[]): Hashing {
  return hashingOf(
    regions,
    rows.map((row) => ({ ...(at[row] ?? { region: 0, offset: 0n }), bytes: tensors[row]?.bytes ?? 0n })),
  );
}

const nothingHashed: Hashing = { hashedBytes: 0n, finish: () => Promise.resolve(new BigUint64Array()) };

function checksumsWanted(rows: readonly number[], of: number, connection: Connection): Pick<NativeTransferOptions, 'checksums'> {
  if (rows.length === 0) return {};
  const wanted = new Uint8Array(of);
  for (const row of rows) wanted[row] = 1;
  return { checksums: { rows: wanted, threads: followersOf(connection) } };
}

/**
 * Threads that hash behind the lanes. One hashes 15 to 50 GB/s, by the processor: a rail of 400 Gb/s brings 49, a TCP connection
 * or a local lane seldom 10. At most half of the cores, which the lanes need as well.
 */
function followersOf({ transport, lanes }: Connection): number {
  const useful = transport === 'rdma' ? 4 * lanes.length : Math.ceil(lanes.length / 4);
  return Math.max(1, Math.min(useful, Math.floor(availableParallelism() / 2)));
}

/**
 * The tensors of a placement as the addon takes them: by column, so that a million are four objects. A plain loop: typed arrays'
 * `from` takes ten times as long, which for thousands of small tensors is a tenth of the wire phase on a slow processor.
 */
export function columnsOf({ tensors, at }: Placement): Pick<NativeTransferOptions, 'remoteAddress' | 'length' | 'localOffset' | 'region'> {
  const rows = tensors.length;
  const remoteAddress = new BigUint64Array(rows);
  const length = new BigUint64Array(rows);
  const localOffset = new BigUint64Array(rows);
  const region = new Uint32Array(rows);
  for (let row = 0; row < rows; row++) {
    const tensor = tensors[row];
    const place = at[row];
    if (tensor === undefined || place === undefined) throw new WeightcastError('ERR_INTERNAL', `no place for tensor ${String(row)}`);
    remoteAddress[row] = tensor.address;
    length[row] = tensor.bytes;
    localOffset[row] = place.offset;
    region[row] = place.region;
  }
  return { remoteAddress, length, localOffset, region };
}

function failed(outcome: NativeOutcome, options: WireOptions): WeightcastError {
  if (options.signal?.aborted === true) {
    return new WeightcastError('ERR_ABORTED', `pull from ${options.peer} aborted after ${String(outcome.bytes)} bytes`, {
      cause: options.signal.reason,
      peer: options.peer,
    });
  }
  const lane = outcome.lanes.find((candidate) => candidate.fault?.message === outcome.fault?.message);
  const over = lane === undefined ? '' : ` over ${lane.name}`;
  return toWeightcastError(outcome.fault, {
    doing: `reading from ${options.peer}${over} failed after ${String(outcome.bytes)} bytes`,
    peer: options.peer,
  });
}
