/**
 * Memory that weights live in. Weights never live in the JavaScript heap: a region is native memory with a `bigint`
 * address, of any size, and JavaScript opens windows on it.
 */
import { nativeDevice } from './device/check.js';
import { deviceId, deviceName, type DeviceId } from './device/device.js';
import { WeightcastError, toWeightcastError } from './errors.js';
import { native, type NativeDeviceKind, type NativeRegion } from './native.js';

/** The largest window, bytes: Node 20 cannot look at 4 GiB or more through one ArrayBuffer. */
export const MAX_WINDOW_BYTES = 2 ** 32 - 1;

/**
 * A range of memory, of the host or of an accelerator, that can be registered, read into and looked at. Its memory is freed when it was closed and
 * no seed, pull or registration uses it any more; a region that is forgotten is freed by the garbage collector.
 */
export class Region implements Disposable {
  /** The native handle; for this package only. */
  readonly handle: NativeRegion;

  private constructor(handle: NativeRegion) {
    this.handle = handle;
  }

  /**
   * New zeroed pages.
   * @param bytes - length; at least 1.
   * @param options - `hugePages`: `auto` (default) takes 2 MiB pages when the pool has enough of them.
   * @throws ERR_OUT_OF_MEMORY when the host cannot give them, asked before they are touched.
   */
  static async allocate(bytes: bigint, options: { readonly hugePages?: 'auto' | 'never' | 'require' } = {}): Promise<Region> {
    return Region.of('cannot allocate a region', native().allocate(bytes, options.hugePages ?? 'auto'));
  }

  /**
   * A new POSIX shared memory object, `/dev/shm/NAME`, which other processes may map. It stays until somebody unlinks it.
   * @throws ERR_ALREADY_EXISTS, ERR_OUT_OF_MEMORY (also when /dev/shm is full).
   */
  static async createShared(name: string, bytes: bigint): Promise<Region> {
    return Region.of(`cannot create shared memory ${name}`, native().createShared(name, bytes));
  }

  /**
   * A read-only mapping of a file's bytes [offset, offset + bytes).
   * @throws ERR_NOT_FOUND, ERR_IO, ERR_PROTOCOL when the file is shorter.
   */
  static async mapFile(path: string, offset: bigint, bytes: bigint): Promise<Region> {
    return Region.of(`cannot map ${path}`, native().mapFile(path, offset, bytes));
  }

  /**
   * The bytes of a buffer that JavaScript owns, without a copy. The buffer is kept alive by the region and must not be
   * resized or transferred meanwhile.
   * @throws ERR_INVALID_ARGUMENT for shared, resizable or detached buffers.
   */
  static fromBuffer(buffer: ArrayBuffer | ArrayBufferView): Region {
    const view = ArrayBuffer.isView(buffer) ? buffer : new Uint8Array(buffer);
    if (!(view.buffer instanceof ArrayBuffer)) {
      throw new WeightcastError(
        'ERR_INVALID_ARGUMENT',
        'Region.fromBuffer: expected memory of an ArrayBuffer but received a SharedArrayBuffer; copy it first',
      );
    }
    try {
      return new Region(native().adoptBuffer(view.buffer, view.byteOffset, view.byteLength));
    } catch (error) {
      throw toWeightcastError(error, { doing: 'Region.fromBuffer' });
    }
  }

  /**
   * Memory at an address that somebody else owns, for example an inference engine in this process. The owner keeps it
   * mapped and unmoved until {@link close} and every seed and pull that uses it have ended.
   * @param options - `writable` (default true): a pull may write into it.
   */
  static fromAddress(address: bigint, bytes: bigint, options: { readonly writable?: boolean } = {}): Region {
    try {
      return new Region(native().adoptAddress(address, bytes, options.writable ?? true));
    } catch (error) {
      throw toWeightcastError(error, { doing: 'Region.fromAddress' });
    }
  }

  /**
   * New memory of an accelerator; its content is whatever was there. There are no windows onto it: copy with {@link read} and
   * {@link write}.
   * @param device - for example `{ cuda: 0 }`.
   * @param bytes - length; at least 1.
   * @throws ERR_ACCELERATOR_UNAVAILABLE when its driver is not here, ERR_NOT_FOUND when it has no such device, ERR_OUT_OF_MEMORY, ERR_ACCELERATOR.
   */
  static async allocateOn(device: DeviceId, bytes: bigint): Promise<Region> {
    const on = nativeDevice(device, 'Region.allocateOn');
    return Region.of(`cannot allocate a region on ${deviceName(on)}`, native().allocateOnDevice(on.kind, on.ordinal, bytes));
  }

  /**
   * Memory of an accelerator that somebody else in this process owns, for example an inference engine, at an address of its driver. The
   * owner keeps it allocated until {@link close} and every seed and pull that uses it have ended.
   * @param options - `writable` (default true): a pull may write into it.
   * @throws ERR_INVALID_ARGUMENT when the range is not wholly in one allocation on one device, or is managed memory (its pages move);
   *   ERR_ACCELERATOR_UNAVAILABLE, ERR_ACCELERATOR.
   */
  static async fromDeviceAddress(
    kind: NativeDeviceKind,
    address: bigint,
    bytes: bigint,
    options: { readonly writable?: boolean } = {},
  ): Promise<Region> {
    const doing = `cannot use ${bytes} bytes of ${kind} memory at 0x${address.toString(16)}`;
    return Region.of(doing, native().adoptOnDevice(kind, address, bytes, options.writable ?? true));
  }

  /** @internal */
  static async of(doing: string, handle: Promise<NativeRegion>): Promise<Region> {
    try {
      return new Region(await handle);
    } catch (error) {
      throw toWeightcastError(error, { doing });
    }
  }

  /** Whose memory it is; `undefined`: the host's. */
  get device(): DeviceId | undefined {
    const { device } = this.handle;
    return device === undefined ? undefined : deviceId(device);
  }

  /** Where the first byte is: in this process, or for an accelerator's driver. */
  get address(): bigint {
    return this.handle.address;
  }

  get byteLength(): bigint {
    return this.handle.byteLength;
  }

  /**
   * A window onto the bytes, not a copy; detached by {@link close}.
   * @param offset - bytes from the start; default 0.
   * @param length - bytes; default all that is left. At most {@link MAX_WINDOW_BYTES}.
   * @throws ERR_INVALID_ARGUMENT for a read-only region and for an accelerator's memory, ERR_PROTOCOL when the range leaves the region.
   */
  view(offset = 0n, length = Number(this.byteLength - offset)): Uint8Array {
    if (length > MAX_WINDOW_BYTES) {
      throw new WeightcastError(
        'ERR_INVALID_ARGUMENT',
        `Region.view: expected at most ${MAX_WINDOW_BYTES} bytes for length but received ${length}; open several windows`,
      );
    }
    try {
      return new Uint8Array(this.handle.view(offset, length));
    } catch (error) {
      throw toWeightcastError(error, { doing: 'Region.view' });
    }
  }

  /**
   * Copies bytes out; also of a read-only region and of an accelerator's memory, of which there are no windows.
   * @param offset - bytes from the start.
   * @throws ERR_PROTOCOL when the range leaves the region, ERR_IO when the file behind it was cut short, ERR_ACCELERATOR.
   */
  async read(offset: bigint, into: Uint8Array): Promise<void> {
    try {
      await this.handle.read(offset, into);
    } catch (error) {
      throw toWeightcastError(error, { doing: 'Region.read' });
    }
  }

  /**
   * Copies bytes in, as they are at the time of the call; also to an accelerator's memory, of which there are no windows.
   * @param offset - bytes from the start.
   * @throws ERR_PROTOCOL when the range leaves the region, ERR_INVALID_ARGUMENT when it is read-only, ERR_ACCELERATOR.
   */
  async write(offset: bigint, from: Uint8Array): Promise<void> {
    try {
      await this.handle.write(offset, from);
    } catch (error) {
      throw toWeightcastError(error, { doing: 'Region.write' });
    }
  }

  /**
   * Makes what NICs have written so far visible to work that already runs on the region's accelerator. Work that is launched later sees it
   * anyway, and a pull has done this before it settles. Nothing for host memory.
   * @throws ERR_ACCELERATOR.
   */
  async flush(): Promise<void> {
    try {
      await this.handle.flush();
    } catch (error) {
      throw toWeightcastError(error, { doing: 'Region.flush' });
    }
  }

  /** Detaches all windows and drops this handle. Idempotent. */
  close(): void {
    this.handle.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Memory of a tensor: JavaScript's own, a part of a region, a raw address of this process, or one of an accelerator's driver, whose
 * memory somebody else in this process owns.
 */
export type TensorMemory =
  | ArrayBufferView
  | { readonly region: Region; readonly offset: bigint; readonly byteLength: bigint }
  | { readonly address: bigint; readonly byteLength: bigint }
  | { readonly device: DeviceId; readonly address: bigint; readonly byteLength: bigint };
