/** Memory as the addon has it, of the host and of accelerators: the part of `native.ts` that is about nothing else. */

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

/** A range of memory; freed when the handle, all registrations, transfers and windows are gone. */
export interface NativeRegion {
  readonly kind: 'anonymous' | 'shared' | 'file' | 'adopted' | 'device';
  /** Of kind `device`: whose memory it is. There are no windows onto it, and `address` is for drivers and NICs only. */
  readonly device: { readonly kind: NativeDeviceKind; readonly ordinal: number } | undefined;
  readonly address: bigint;
  readonly byteLength: bigint;
  /** Bytes of a page of this mapping. */
  readonly pageSize: number;
  /** On which NUMA nodes its pages are to come from, and what the kernel said against it (`''`: nothing); `undefined` where nobody asked. */
  readonly placement: { readonly nodes: readonly number[]; readonly refusal: string } | undefined;
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

/** NUMA nodes, and RDMA devices on them; `native/topology/locality.h`. Processors as the kernel lists them, `0-3,8`. */
export interface NativeLocality {
  /** That are online. `memory`: whether it has any. */
  readonly nodes: readonly { readonly node: number; readonly processors: string; readonly memory: boolean }[];
  readonly nics: readonly {
    readonly device: string;
    /** -1 when unknown. */
    readonly node: number;
    /** Where threads that serve it are to be kept; `''`: nowhere. */
    readonly processors: string;
    /** Why nowhere. */
    readonly threadsReason: string;
    /** Why memory for it is not to be placed on its node; `''` when it is. */
    readonly memoryReason: string;
  }[];
}
