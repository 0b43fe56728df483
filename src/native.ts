/**
 * The one import of the `.node` file. Every native class is declared here with its contract; policy lives elsewhere.
 *
 * Rules of the boundary: addresses and lengths are `bigint`; many of them travel as one `BigUint64Array`. Everything
 * that may wait or call into verbs returns a promise that is settled by native threads; nothing native runs on libuv's
 * pool. A failure is an `Error` with the fields of {@link NativeFault}; `errors.ts` turns it into a public error.
 */
import { loadNative } from './native-loader.js';

/** Fields that the addon sets on the errors that it throws or rejects with. */
export interface NativeFault extends Error {
  /** One of the native status codes, for example `MEMLOCK_LIMIT`. Mapped in `errors.ts`. */
  readonly nativeCode: NativeCode;
  /** The C call that failed, for example `ibv_reg_mr`; `''` if none. */
  readonly call: string;
  /** `errno` of that call; 0 if none. */
  readonly errno: number;
  /** `ibv_wc_status` of the completion that failed; 0 if none. */
  readonly wcStatus: number;
  readonly vendorError: number;
}

/** `native/common/status.h`, `enum class Code`. */
export type NativeCode =
  | 'INVALID_ARGUMENT'
  | 'RDMA_UNAVAILABLE'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'MEMLOCK_LIMIT'
  | 'OUT_OF_MEMORY'
  | 'REGISTRATION'
  | 'VERBS'
  | 'OUT_OF_RANGE'
  | 'PEER_LOST'
  | 'REMOTE_ACCESS'
  | 'PROTOCOL'
  | 'STALLED'
  | 'CANCELLED'
  | 'CLOSED'
  | 'IO'
  | 'DEVICE_UNAVAILABLE'
  | 'DEVICE'
  | 'INTERNAL';

/** A GID table entry of a port. */
export interface NativeGid {
  readonly index: number;
  /** 16 hex pairs joined by `:`. */
  readonly gid: string;
  /** `RoCE v2`, `IB/RoCE v1`, or `''` when the kernel does not say. */
  readonly type: string;
  readonly netdev: string;
}

/** One port of one RDMA device; `native/transport/rdma/inventory.h`. */
export interface NativeDevicePort {
  readonly device: string;
  /** Kernel driver, for example `rxe`. */
  readonly provider: string;
  /** A software device (rxe, siw): never to be presented as RDMA hardware. */
  readonly software: boolean;
  readonly firmware: string;
  readonly port: number;
  readonly active: boolean;
  readonly state: string;
  readonly linkLayer: string;
  readonly lid: number;
  /** Bytes. */
  readonly activeMtu: number;
  /** As the port claims; fiction on Soft-RoCE. */
  readonly rateGbps: number;
  /** -1 when unknown. */
  readonly numaNode: number;
  readonly netdev: string;
  readonly gids: readonly NativeGid[];
  /** What `openNic` would take by itself; -1 when none fits. */
  readonly chosenGidIndex: number;
  readonly maxMessage: number;
  readonly maxSge: number;
  readonly maxInitiatorReads: number;
  readonly maxResponderReads: number;
  readonly maxQp: number;
  readonly maxMr: number;
  readonly maxMrBytes: bigint;
  /** Whether it imports dma-bufs, which is how it reads an accelerator's memory best, and why not. */
  readonly dmabuf: boolean;
  readonly dmabufReason: string;
}

/** `native/memory/limits.h`. `undefined` stands for unlimited or unknown. Bytes. */
export interface NativeLimits {
  readonly memlockSoft: bigint | undefined;
  readonly memlockHard: bigint | undefined;
  readonly ipcLock: boolean;
  readonly available: bigint | undefined;
  readonly hugePageSize: bigint;
  readonly hugePagesFree: bigint;
}

/** Whose driver owns an accelerator's memory; `native/memory/device.h`. */
export type NativeDeviceKind = 'cuda' | 'hip';

/** One accelerator. */
export interface NativeAccelerator {
  readonly kind: NativeDeviceKind;
  /** As its driver counts. */
  readonly ordinal: number;
  readonly name: string;
  /** `0000:17:00.0`. */
  readonly pciAddress: string;
  /** -1 when unknown. */
  readonly numaNode: number;
  /** All of its memory. */
  readonly bytes: bigint;
  /** Whether its driver exports dma-bufs, and why not. */
  readonly dmabuf: boolean;
  readonly dmabufReason: string;
}

export interface NativeAccelerators {
  readonly accelerators: readonly NativeAccelerator[];
  /** Path and version of each driver library that was loaded, and why one has no device or could not be. */
  readonly drivers: readonly {
    readonly kind: NativeDeviceKind;
    readonly path: string;
    readonly version: string;
    readonly reason: string;
  }[];
  /** The kernel's peer-memory module, for example `nvidia_peermem`; `''`: none is loaded. */
  readonly peerMemory: string;
}

/** How a NIC gets at memory; of host memory always `host`. */
export type NativePath = 'host' | 'dma-buf' | 'peer-memory';
/** Which of them may be taken for an accelerator's memory; `auto` tries both in this order. */
export type NativePathChoice = 'auto' | 'dma-buf' | 'peer-memory';

/** A range of memory; freed when the handle, all registrations, transfers and windows are gone. */
export interface NativeRegion {
  readonly kind: 'anonymous' | 'shared' | 'file' | 'adopted' | 'device';
  /** Of kind `device`: whose memory it is. There are no windows onto it, and `address` is for drivers and NICs only. */
  readonly device: { readonly kind: NativeDeviceKind; readonly ordinal: number } | undefined;
  readonly address: bigint;
  readonly byteLength: bigint;
  /** Bytes of a page of this mapping. */
  readonly pageSize: number;
  readonly writable: boolean;
  /**
   * A window onto the bytes, not a copy. `length` at most 4 GiB - 1 (Node 20 cannot look at more at once); the same
   * (offset, length) gives the same ArrayBuffer. Throws OUT_OF_RANGE, INVALID_ARGUMENT (read-only region: use `read`)
   * and CLOSED. Windows are detached by `close`.
   */
  view(offset: bigint, length: number): ArrayBuffer;
  /** Copies bytes out; also of a file mapping, where a plain load could fault. Rejects with OUT_OF_RANGE, IO. */
  read(offset: bigint, into: Uint8Array): Promise<void>;
  /** Copies bytes in; for memory of an accelerator, too. Rejects with OUT_OF_RANGE, INVALID_ARGUMENT (read-only), DEVICE. */
  write(offset: bigint, from: Uint8Array): Promise<void>;
  /**
   * Makes what NICs wrote visible to work that already runs on the region's accelerator; nothing for host memory. Once, after the
   * last read of a pull. Rejects with DEVICE.
   */
  flush(): Promise<void>;
  /** Detaches all windows and drops the handle's reference. Idempotent. */
  close(): void;
}

/** A range registered on one NIC. */
export interface NativeRegistration {
  readonly localKey: number;
  readonly remoteKey: number;
  readonly path: NativePath;
  /** Deregisters on a native thread, unless a lane still holds it; then when that goes. Idempotent. */
  close(): Promise<void>;
}

/** Many ranges registered on one NIC, for peers to read; together, because a promise and a handle take longer than a registration. */
export interface NativeRegistrations {
  /** Of range i. */
  readonly remoteKeys: Uint32Array;
  /** How the NIC gets at them, each way once. */
  readonly paths: readonly NativePath[];
  /** Deregisters all on a native thread. Idempotent. */
  close(): Promise<void>;
}

export interface NativePeerQueuePairs {
  /** 16 hex pairs joined by `:`. */
  readonly gid: string;
  readonly lid: number;
  /** The peer's queue pair numbers: number i pairs with ours at i. */
  readonly numbers: Uint32Array;
  /** Bytes; 0 takes the own port's. */
  readonly pathMtu: number;
  /** Initiator: `max_rd_atomic`; responder: `max_dest_rd_atomic`. Clamped to what the device can do. */
  readonly maxReads: number;
}

/** Queue pairs between one local NIC and one peer NIC, with their own completion queue. */
export interface NativeEndpoint {
  readonly numbers: Uint32Array;
  /** INIT → RTR → RTS. */
  connect(peer: NativePeerQueuePairs): Promise<void>;
  /** Agreed outstanding reads per queue pair; 0 before `connect`. */
  readonly maxReads: number;
  /** Destroys the queue pairs on a native thread once no lane holds them. Idempotent. */
  close(): Promise<void>;
}

/** An opened port of an RDMA device. */
export interface NativeNic {
  readonly device: string;
  readonly gid: string;
  readonly gidIndex: number;
  readonly lid: number;
  readonly mtu: number;
  readonly maxMessage: number;
  readonly maxSge: number;
  readonly maxInitiatorReads: number;
  readonly maxResponderReads: number;
  /** `max_mr_size`: bytes that one registration may have. */
  readonly maxRegionBytes: bigint;
  /**
   * Pins and registers. Rejects with MEMLOCK_LIMIT, OUT_OF_MEMORY, REGISTRATION, OUT_OF_RANGE. An accelerator's memory that no allowed
   * path can register: REGISTRATION, with the reason of each.
   */
  register(
    region: NativeRegion,
    offset: bigint,
    length: bigint,
    access: 'remote-read' | 'local-write',
    path: NativePathChoice,
  ): Promise<NativeRegistration>;
  /**
   * The same with REMOTE_READ for each row of the columns, one after the other on one native thread: range i is
   * [offset[i], offset[i] + length[i]) of `regions[region[i]]`. The first that fails rejects, and none stays registered.
   */
  registerAll(
    regions: readonly NativeRegion[],
    region: Uint32Array,
    offset: BigUint64Array,
    length: BigUint64Array,
    path: NativePathChoice,
  ): Promise<NativeRegistrations>;
  /** Queue pairs in INIT; `sendDepth` work requests each. */
  createEndpoint(role: 'initiator' | 'responder', count: number, sendDepth: number): Promise<NativeEndpoint>;
  close(): Promise<void>;
}

/** A path that moves bytes: made once, used by one transfer. */
export interface NativeLane {
  readonly name: string;
  close(): Promise<void>;
}

export interface NativeTcpServerCounters {
  readonly connections: bigint;
  readonly requests: bigint;
  readonly rejected: bigint;
  readonly bytes: bigint;
}

/** The serving end of Mooncake's TCP transport. */
export interface NativeTcpServer {
  readonly port: number;
  /** Replaces what is served: range i is [addresses[i], addresses[i] + lengths[i]) inside of regions[i]. */
  serve(regions: readonly NativeRegion[], addresses: BigUint64Array, lengths: BigUint64Array): void;
  counters(): NativeTcpServerCounters;
  close(): Promise<void>;
}

export interface NativeLocalServerCounters {
  readonly connections: bigint;
  readonly served: bigint;
  readonly refused: bigint;
}

/** Where processes of this host ask for a seed's bytes: a socket in the abstract namespace, with a thread of its own. */
export interface NativeLocalServer {
  /** As {@link NativeTcpServer.serve}; for those who come from now on. Throws IO, OUT_OF_MEMORY. */
  serve(regions: readonly NativeRegion[], addresses: BigUint64Array, lengths: BigUint64Array): void;
  counters(): NativeLocalServerCounters;
  close(): Promise<void>;
}

/** A seed of this host that lets this process read. Its lanes and mappings hold what they need of it. */
export interface NativeLocalPeer {
  /** What may be read, columns. */
  readonly bufferAddress: BigUint64Array;
  readonly bufferLength: BigUint64Array;
  /** 1 where buffer i can be mapped (and is read by a descriptor), 0 where it is read from the seed's memory. */
  readonly shared: Uint8Array;
  lane(name: string): NativeLane;
  /** A read-only mapping of buffer `index`; it outlives this handle and the seed. Rejects with INVALID_ARGUMENT, IO. */
  map(index: number): Promise<NativeRegion>;
  close(): Promise<void>;
}

export interface NativeTransferOptions {
  /** Columns, one row a wanted range: `localOffset` is inside of `regions[region]`. All of one length. */
  readonly remoteAddress: BigUint64Array;
  readonly length: BigUint64Array;
  readonly localOffset: BigUint64Array;
  readonly region: Uint32Array;
  readonly regions: readonly NativeRegion[];
  /** What the peer registered, columns; index = `remoteKeys` index of an RDMA lane. */
  readonly bufferAddress: BigUint64Array;
  readonly bufferLength: BigUint64Array;
  readonly lanes: readonly NativeLane[];
  /** Largest read, bytes. */
  readonly sliceBytes: number;
  /** Scatter elements of one read. */
  readonly maxSegments: number;
  readonly merge: boolean;
  /**
   * Checksums of the rows that are not 0, computed while the transfer runs by so many threads behind the lanes; the outcome's
   * `follower` has them. Absent: none. Nor are there any with `staging`, or when one of the regions is an accelerator's.
   */
  readonly checksums?: { readonly rows: Uint8Array; readonly threads: number };
  /**
   * Host memory that slices land in first, each to be copied on to where it belongs: for lanes that cannot write into a device's
   * memory. Divided evenly among the lanes, in slots of `sliceBytes`, of which each lane needs two (else `done` rejects with
   * INVALID_ARGUMENT). Pinned for the accelerators' drivers meanwhile. Lanes that need registrations have one, of this region; a lane's
   * limit of segments does not count.
   */
  readonly staging?: NativeRegion;
}

export interface NativeLaneOutcome {
  readonly name: string;
  readonly bytes: bigint;
  readonly workRequests: number;
  /** Times that the peer ended a connection (not: one of one answer, as its kind does) and a later one answered. */
  readonly reconnects: number;
  /** RDMA: times that the device's port asked for something again meanwhile, for whomever. */
  readonly retransmits: number;
  /** RDMA: bytes of the smallest reads that slices were cut into; 0 when none was. */
  readonly smallestRead: number;
  readonly firstByteMs: number;
  /** Why the lane ended early; `undefined` when it did not. */
  readonly fault: NativeFault | undefined;
}

export interface NativeOutcome {
  readonly bytes: bigint;
  readonly planMs: number;
  readonly wireMs: number;
  readonly slices: number;
  readonly lanes: readonly NativeLaneOutcome[];
  /** The checksums, where some were asked for and every byte landed. */
  readonly follower: NativeFollower | undefined;
  /** Why not every byte landed; `undefined` on success. `done` resolves either way, so that lanes can be reported. */
  readonly fault: NativeFault | undefined;
}

export interface NativeProgress {
  readonly bytes: bigint;
  readonly totalBytes: bigint;
}

export interface NativeTransfer {
  /**
   * Resolves after every lane returned: no byte lands afterwards. Rejects only when planning failed (OUT_OF_RANGE) or there can be no
   * staging (INVALID_ARGUMENT, DEVICE).
   */
  readonly done: Promise<NativeOutcome>;
  /** Cheap; sample it. */
  progress(): NativeProgress;
  /** Idempotent. `done` then resolves with a CANCELLED fault, once drained. */
  cancel(): void;
}

/** Checksums of a transfer that has ended; `native/transfer/follower.h`. It keeps no memory alive. */
export interface NativeFollower {
  /** Bytes that were hashed while the transfer ran. */
  readonly hashedBytes: bigint;
  /**
   * Hashes the rest: one XXH3-64 (seed 0) a row of the transfer, 0 where none was asked for. Once; throws CLOSED after that. The
   * task's progress is of the rest. Rejects with CANCELLED, CLOSED (a region was closed meanwhile), OUT_OF_MEMORY.
   */
  finish(threads: number): NativeChecksumTask;
}

export interface NativeChecksumTask {
  /** One XXH3-64 (seed 0) a range. Rejects with CANCELLED, IO, OUT_OF_RANGE. */
  readonly done: Promise<BigUint64Array>;
  progress(): NativeProgress;
  cancel(): void;
}

export interface NativeModule {
  /** Path of libibverbs when it could be loaded, else why not. */
  rdmaLibrary(): { readonly path: string; readonly reason: string };
  /** Rejects with RDMA_UNAVAILABLE and the reason when there is no RDMA stack. */
  listDevices(): Promise<NativeDevicePort[]>;
  limits(): NativeLimits;
  /** The advice that belongs to a MEMLOCK_LIMIT error for so many bytes. */
  memlockAdvice(bytes: bigint): string;

  allocate(bytes: bigint, hugePages: 'auto' | 'never' | 'require'): Promise<NativeRegion>;
  createShared(name: string, bytes: bigint): Promise<NativeRegion>;
  mapFile(path: string, offset: bigint, bytes: bigint): Promise<NativeRegion>;
  /** Adopts an ArrayBuffer's bytes; a reference keeps it alive. Refuses resizable, shared and detached buffers. */
  adoptBuffer(buffer: ArrayBuffer, byteOffset: number, byteLength: number): NativeRegion;
  /** Adopts memory of somebody else, who must keep it mapped until the region is closed and drained. */
  adoptAddress(address: bigint, bytes: bigint, writable: boolean): NativeRegion;
  /** The accelerators of this machine. Never rejects: what is missing is said in `drivers`. */
  listAccelerators(): Promise<NativeAccelerators>;
  /** New memory of an accelerator, freed with the region. Rejects with DEVICE_UNAVAILABLE, NOT_FOUND (no such ordinal), OUT_OF_MEMORY, DEVICE. */
  allocateOnDevice(kind: NativeDeviceKind, ordinal: number, bytes: bigint): Promise<NativeRegion>;
  /**
   * Memory of an accelerator that somebody else in this process owns and keeps. Rejects with DEVICE_UNAVAILABLE, INVALID_ARGUMENT (not
   * device memory, managed memory, a range that leaves its allocation), DEVICE.
   */
  adoptOnDevice(kind: NativeDeviceKind, address: bigint, bytes: bigint, writable: boolean): Promise<NativeRegion>;
  /** The allocation that an address lies in: what may be registered as one. Rejects as `adoptOnDevice`. */
  deviceAllocation(
    kind: NativeDeviceKind,
    address: bigint,
  ): Promise<{ readonly base: bigint; readonly bytes: bigint; readonly ordinal: number }>;
  /** Copies all bytes of `from` into `into` (same size, writable) with native threads; either may be an accelerator's. */
  copyRegion(from: NativeRegion, into: NativeRegion, threads: number): Promise<void>;

  openNic(device: string, port: number, gidIndex: number | undefined): Promise<NativeNic>;
  createRdmaLane(options: {
    readonly name: string;
    readonly endpoint: NativeEndpoint;
    /** rkey of remote buffer i at this endpoint's peer NIC. */
    readonly remoteKeys: Uint32Array;
    /** Registration of region i at this endpoint's NIC. */
    readonly registrations: readonly NativeRegistration[];
    /** Work requests in flight per queue pair; 0: maxReads + 4. */
    readonly depth: number;
    /** Queue pairs in use while the path is clean, 0: all. The others join where packets are lost. */
    readonly queuePairs: number;
    readonly spinMicroseconds: number;
    readonly stallTimeoutMs: number;
  }): NativeLane;
  listenTcp(host: string, port: number, threads: number): Promise<NativeTcpServer>;
  connectTcpLane(options: {
    readonly name: string;
    readonly host: string;
    readonly port: number;
    readonly protocolVersion: 1 | 2;
    readonly connectTimeoutMs: number;
    readonly stallTimeoutMs: number;
  }): Promise<NativeLane>;
  /** `token`: 64 hexadecimal digits, that targets must show and are shown. Rejects with IO. */
  listenLocal(name: string, token: string): Promise<NativeLocalServer>;
  /** Rejects with NOT_FOUND (no seed of that name on this host), REMOTE_ACCESS (it is here, but may not be read), PROTOCOL, IO. */
  connectLocal(name: string, token: string, timeoutMs: number): Promise<NativeLocalPeer>;
  /** Plans and starts on a native thread. Throws INVALID_ARGUMENT on columns of unequal length, CLOSED. */
  startTransfer(options: NativeTransferOptions): NativeTransfer;
  checksum(
    regions: readonly NativeRegion[],
    region: Uint32Array,
    offset: BigUint64Array,
    length: BigUint64Array,
    threads: number,
  ): NativeChecksumTask;
}

let loaded: NativeModule | undefined;

/** The addon, loaded at the first use. Throws `ERR_NATIVE_UNAVAILABLE` with what was tried and what to do. */
export function native(): NativeModule {
  loaded ??= loadNative();
  return loaded;
}
