import type { DeviceId } from '../device/device.js';
import type { DeviceMemory, DevicePathChoice } from '../device/path.js';
import type { NumaSummary } from '../locality.js';
import type { SourceAttempt } from '../errors.js';
import type { Logger } from '../observe/logger.js';
import type { Region, TensorMemory } from '../region.js';
import type { FromRegistry, FromSession, FromSglang, Origin } from './origins.js';
import type { Verified } from './verify.js';

/** A tensor that the target must find at the seed. */
export interface ExpectedTensor {
  readonly name: string;
  /** safetensors name; `torch.bfloat16` is accepted too. Compared where the seed says its own. */
  readonly dtype?: string;
  readonly shape?: readonly number[];
  /** Compared always. Default: follows from dtype and shape, or from the memory given. */
  readonly bytes?: bigint;
}

/** A tensor and the caller's memory that it goes into; its size is expected of the seed. */
export interface TargetTensor extends ExpectedTensor {
  /** Written by the NIC: keep it alive and do not look at it before the pull has settled. */
  readonly data: TensorMemory;
}

/**
 * Where the weights go.
 * - `directory`: safetensors files and the model's other files, appearing all at once when every byte is verified.
 * - `shared`: one safetensors file in POSIX shared memory, `/dev/shm/NAME`, read into without a copy.
 * - `memory`: a region that the result hands over; the caller closes it. `on`: of an accelerator, for example `{ cuda: 0 }`.
 * - `tensors`: the caller's own buffers, of the host or of accelerators.
 * - `mapped`: nowhere: the tensors stay in the memory of a seed of this host, and the result hands over read-only mappings, which the
 *   caller closes. Only from a seed of files or shared memory, over the transport `local`. Ready without reading anything; so
 *   nothing is compared unless `verify` is `true`.
 * - `discard`: memory that is dropped, of an accelerator with `on`; for measuring.
 */
export type Destination =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'shared'; readonly name: string }
  | { readonly kind: 'memory'; readonly on?: DeviceId }
  | { readonly kind: 'mapped' }
  | { readonly kind: 'tensors'; readonly tensors: readonly TargetTensor[] }
  | { readonly kind: 'discard'; readonly on?: DeviceId };

/**
 * How bytes come: `rdma`, `tcp`, or `local` from a seed of the same host, without a wire. `auto`: local where the seed is on this host
 * and lets itself be read, else RDMA when both sides have it, else TCP.
 */
export type Transport = 'auto' | 'rdma' | 'tcp' | 'local';

/** A pull through a metadata server. */
export type RegistryPullOptions = PullSettings & FromRegistry;
/** A pull from an SGLang server. */
export type SglangPullOptions = PullSettings & FromSglang;
/** A pull from a TransferEngine session. */
export type SessionPullOptions = PullSettings & FromSession;

/** What a pull is told: exactly one origin, `server`, `sglang` or `session`, with what belongs to it. */
export type PullOptions = RegistryPullOptions | SglangPullOptions | SessionPullOptions;

/** What a pull is told, whatever its origin. */
export interface PullSettings {
  readonly into: Destination;
  /** Tensors that must be there, whatever the destination; checked before anything is allocated. */
  readonly expect?: readonly ExpectedTensor[];
  /**
   * A checkpoint, directory or file, whose headers say dtype and shape by tensor name, for sources that say none. Where the
   * source has exactly its tensors, the files that are written are laid out as its own, and its other files are copied.
   * Tensors that it lacks stay flat; a size, dtype or shape that differs is an error. Default: none.
   */
  readonly like?: string;
  /** Default `auto`; where that ends with TCP, the reason is in {@link PullResult.transportReason}. */
  readonly transport?: Transport;
  /** RDMA devices to use; default all with an active port, or those of them that are nearest to the accelerator that is read into. */
  readonly devices?: readonly string[];
  readonly gidIndex?: number;
  /**
   * How NICs get at an accelerator's memory that is read into. `auto` (default): the first that works, see
   * {@link PullResult.deviceMemory}; `dma-buf` and `peer-memory` make it an error when they do not, and need RDMA.
   */
  readonly devicePath?: DevicePathChoice;
  /** The address under which the seed may call back (old Mooncake seeds do). Default: the one with the route outside. */
  readonly host?: string;
  /**
   * Compare every tensor's XXH3-64 with the seed's. Default true; seeds without checksums leave a note. `'sampled'`: a random one
   * in 16, at least 16, which finds a source that holds something else and mostly misses a single bad tensor; the result says so.
   * `'twice'`: what the seed publishes no checksums of is read a second time, and both reads are compared. That doubles the bytes
   * on the wire, in no more memory.
   */
  readonly verify?: boolean | 'sampled' | 'twice';
  /**
   * Queue pairs a rail, all used. Default with a Weightcast seed: 4, of which one is used and the others join it where packets
   * are lost; else 2, which is Mooncake's count and must be equal there.
   */
  readonly queuePairs?: number;
  /**
   * Reads outstanding a queue pair, default 16: with slices of 1 MiB enough for 400 Gb/s at more than 300 µs round trip.
   * Lowered to what either device can do.
   */
  readonly readsInFlight?: number;
  /** TCP connections, default 4. */
  readonly connections?: number;
  /**
   * Largest read. Default 1 MiB: over RDMA it saturates 400 Gb/s at 16 in flight; over TCP larger ones leave the cache. Over TCP from
   * Mooncake 8 MiB, since its seeds rest between two reads.
   */
  readonly sliceBytes?: number;
  /** Read tensor by tensor instead of merging neighbours; for measuring what merging brings. Default false. */
  readonly perTensor?: boolean;
  /** No progress for so long fails the pull. Default 10 000 ms. */
  readonly stallTimeoutMs?: number;
  /**
   * Longest time for the bytes of one source; the next one is tried then. Default: none, since a source that brings nothing
   * is found by `stallTimeoutMs`, and how long one that brings something may take depends on the model and the network.
   */
  readonly transferTimeoutMs?: number;
  readonly logger?: Logger;
  /** Ends the pull with ERR_ABORTED, after the last read has drained; nothing is left behind. */
  readonly signal?: AbortSignal;
}

export type PullPhase = 'discover' | 'prepare' | 'register' | 'connect' | 'wire' | 'verify' | 'write';

export interface PullProgress {
  readonly phase: PullPhase;
  /** Of the phase; both 0 where a phase has no bytes to count. */
  readonly bytes: bigint;
  readonly totalBytes: bigint;
  /** Since the pull began. */
  readonly elapsedMs: number;
  /** Which try this is, from 1: phases begin anew with each source, and with one that changed and is read again. */
  readonly attempt: number;
}

/** One path that carried bytes. */
export interface LaneResult {
  /** `rxe0>rxe1`, `tcp #2` or `local #1`. */
  readonly name: string;
  readonly localDevice: string | undefined;
  readonly remoteDevice: string | undefined;
  readonly bytes: bigint;
  readonly workRequests: number;
  /**
   * RDMA: times that the local device's port asked for something again while this lane ran (for all programs: ports count, not
   * queue pairs). Packets are lost on this path when they grow. 0 over TCP.
   */
  readonly retransmits: number;
  /**
   * RDMA: bytes of the smallest reads that slices were cut into, because packets were lost or the rail is slow for what it
   * has in flight; `undefined` when slices were read as they are.
   */
  readonly smallestReadBytes: number | undefined;
  /** From the start of the wire phase. */
  readonly firstByteMs: number;
  /** Why this lane ended early while the others finished; `''` when it did not. */
  readonly failure: string;
}

/** A tensor in memory that a pull handed over. */
export interface PlacedTensor {
  readonly name: string;
  /** safetensors name; `''` when the seed did not say. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: bigint;
  /** Bytes from the start of the region. */
  readonly offset: bigint;
}

/** A tensor that stays where the seed has it. */
export interface MappedTensor extends PlacedTensor {
  /** Index into the regions. */
  readonly region: number;
}

export interface PullResult {
  readonly origin: Origin;
  /** `mx_source_id`; `''` where no metadata server was asked. */
  readonly sourceId: string;
  /** Of the seed; `''` where no metadata server was asked. */
  readonly workerId: string;
  /** The seed's; 0 where nobody says. */
  readonly rank: number;
  /** `host:port` of the seed. */
  readonly peer: string;
  /** What the source says that its weights are laid out for; `''` when it does not. */
  readonly accelerator: string;
  /** Name of the selector that chose the order of the sources; `''` where there was but one to try. */
  readonly selector: string;
  /** Sources that failed before this one, in order. */
  readonly attempts: readonly SourceAttempt[];
  readonly tensors: number;
  readonly bytes: bigint;
  /** What was really used. */
  readonly transport: 'rdma' | 'tcp' | 'local';
  /** Why TCP and not RDMA; `''` when it was not TCP. */
  readonly transportReason: string;
  /** RDMA in software (Soft-RoCE) on our side: not RDMA hardware. */
  readonly software: boolean;
  readonly lanes: readonly LaneResult[];
  /** Reads posted or sent, retries included. */
  readonly workRequests: number;
  /** Milliseconds, of finding the sources and of the one that was read; failed ones have theirs in `attempts`. */
  readonly phases: Readonly<Record<PullPhase, number>>;
  readonly totalMs: number;
  /** Bytes over the wire phase, 10^9 bytes a second. */
  readonly wireGBps: number;
  /** Memory regions registered on each device. */
  readonly registrations: number;
  /** How the memory of accelerators was reached; absent where none was read into. */
  readonly deviceMemory?: DeviceMemory;
  /** Which NUMA nodes were close; absent on a machine of one node, and where the transport was not RDMA. */
  readonly numa?: NumaSummary;
  /** Longest time that the event loop was blocked while bytes were on the wire, ms. */
  readonly eventLoopMaxDelayMs: number;
  /** What was compared with the seed's checksums, or read twice; `undefined` when nothing was. */
  readonly verified: Verified | undefined;
  /** What the seed could not give, or was not used, in sentences. */
  readonly notes: readonly string[];
  readonly output: PullOutput;
}

/** `writtenWhileReading`: bytes of the weights that were in their files before the last one was read. */
export type PullOutput =
  | { readonly kind: 'directory'; readonly path: string; readonly files: readonly string[]; readonly writtenWhileReading: bigint }
  | { readonly kind: 'shared'; readonly name: string; readonly path: string; readonly bytes: bigint }
  | { readonly kind: 'memory'; readonly region: Region; readonly tensors: readonly PlacedTensor[] }
  | { readonly kind: 'mapped'; readonly regions: readonly Region[]; readonly tensors: readonly MappedTensor[] }
  | { readonly kind: 'tensors' }
  | { readonly kind: 'discard' };
