/**
 * Memory that weights live in. Weights never live in the JavaScript heap: a region is native memory with a `bigint`
 * address, of any size, and JavaScript opens windows on it.
 */
import { WeightcastError, toWeightcastError } from './errors.js';
import { native, type NativeRegion } from './native.js';

/** The largest window, bytes: Node 20 cannot look at 4 GiB or more through one ArrayBuffer. */
export const MAX_WINDOW_BYTES = 2 ** 32 - 1;

/**
 * A range of host memory that can be registered, read into and looked at. Its memory is freed when it was closed and
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

  /** @internal */
  static async of(doing: string, handle: Promise<NativeRegion>): Promise<Region> {
    try {
      return new Region(await handle);
    } catch (error) {
      throw toWeightcastError(error, { doing });
    }
  }

  /** Where the first byte is in this process. */
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
   * Copies bytes out; also of a read-only region, of which there are no windows.
   * @param offset - bytes from the start.
   * @throws ERR_PROTOCOL when the range leaves the region, ERR_IO when the file behind it was cut short.
   */
  async read(offset: bigint, into: Uint8Array): Promise<void> {
    try {
      await this.handle.read(offset, into);
    } catch (error) {
      throw toWeightcastError(error, { doing: 'Region.read' });
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

/** Memory of a tensor: JavaScript's own, a part of a region, or a raw address of this process. */
export type TensorMemory =
  | ArrayBufferView
  | { readonly region: Region; readonly offset: bigint; readonly byteLength: bigint }
  | { readonly address: bigint; readonly byteLength: bigint };
