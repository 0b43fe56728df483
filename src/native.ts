/**
 * The one import of the `.node` file. Every native class is declared here with its contract; policy lives elsewhere.
 *
 * Rules of the boundary: addresses and lengths are `bigint`; many of them travel as one `BigUint64Array`. Everything
 * that may wait or call into verbs returns a promise that is settled by native threads; nothing native runs on libuv's
 * pool. A failure is an `Error` with the fields of {@link NativeFault}; `errors.ts` turns it into a public error.
 */
import { loadNative } from './native-loader.js';
import type { NativeEngine } from './native-engine.js';
import type { NativeAccelerators, NativeDeviceKind, NativeLimits, NativeLocality, NativeRegion } from './native-memory.js';
import type { NativeChecksumTask, NativeLane, NativeTransfer, NativeTransferOptions } from './native-transfer.js';

export type * from './native-engine.js';
export type * from './native-fault.js';
export type * from './native-memory.js';
export type * from './native-transfer.js';

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

/** How a NIC gets at memory; of host memory always `host`. */
export type NativePath = 'host' | 'dma-buf' | 'peer-memory';
/** Which of them may be taken for an accelerator's memory; `auto` tries both in this order. */
export type NativePathChoice = 'auto' | 'dma-buf' | 'peer-memory';

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

export interface NativeTcpServerCounters {
  readonly connections: bigint;
  readonly requests: bigint;
  readonly rejected: bigint;
  readonly bytes: bigint;
  /** Of `bytes`, those that the kernel says it took from the regions without a copy. */
  readonly zeroCopyBytes: bigint;
  /** Connections that went back to plain sends for good. */
  readonly zeroCopyRefused: bigint;
  /** Pieces sent plainly for want of room (ENOBUFS). */
  readonly zeroCopyCrowded: bigint;
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

export interface NativeModule {
  /** Path of libibverbs when it could be loaded, else why not. */
  rdmaLibrary(): { readonly path: string; readonly reason: string };
  /** Rejects with RDMA_UNAVAILABLE and the reason when there is no RDMA stack. */
  listDevices(): Promise<NativeDevicePort[]>;
  limits(): NativeLimits;
  /** The advice that belongs to a MEMLOCK_LIMIT error for so many bytes. */
  memlockAdvice(bytes: bigint): string;

  /** Where RDMA devices are, and what may be done to be near them. */
  locate(devices: readonly string[]): Promise<NativeLocality>;
  /** `nodes`: where pages are to come from, one entry a NIC that will reach them; default: wherever the kernel has them. */
  allocate(bytes: bigint, hugePages: 'auto' | 'never' | 'require', nodes?: Uint32Array): Promise<NativeRegion>;
  createShared(name: string, bytes: bigint, nodes?: Uint32Array): Promise<NativeRegion>;
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
    /** Where the lane's thread and those that follow it are kept, `0-3,8`; `''`: nowhere. */
    readonly processors: string;
  }): NativeLane;
  /** `zeroCopy`, default `auto`: whether large answers are sent without the kernel's copy. Rejects with INVALID_ARGUMENT, IO. */
  listenTcp(host: string, port: number, threads: number, zeroCopy?: 'auto' | 'never' | 'always'): Promise<NativeTcpServer>;
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
  /**
   * Connects to the process that listens at a UNIX stream socket. Rejects with INVALID_ARGUMENT (no path, a socket of this process),
   * NOT_FOUND (nobody listens), IO.
   */
  connectEngine(path: string, timeoutMs: number): Promise<NativeEngine>;
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
  loaded ??= loadNative() as NativeModule;
  return loaded;
}
