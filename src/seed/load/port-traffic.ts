/** How busy an RDMA port is, from the counters that the kernel shows in sysfs. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RailPort } from '../../rails.js';

export const infinibandFolder = '/sys/class/infiniband';

/** port_xmit_data and port_rcv_data count words of four bytes; that is InfiniBand's definition, on RoCE too. */
const bytesPerWord = 4n;

interface Sample {
  /** Monotonic milliseconds. */
  readonly at: number;
  /** Bytes. */
  readonly sent: bigint;
  readonly received: bigint;
}

export interface PortTrafficOptions {
  /** Instead of {@link infinibandFolder}. */
  readonly folder?: string;
  /** Monotonic milliseconds; default `performance.now`. */
  readonly now?: () => number;
}

/** Compares the counters with those of the last call. */
export class PortTraffic {
  readonly #folder: string;
  readonly #now: () => number;
  #last: Sample | undefined;

  constructor({ device, port }: RailPort, options: PortTrafficOptions = {}) {
    this.#folder = join(options.folder ?? infinibandFolder, device, 'ports', String(port));
    this.#now = options.now ?? (() => performance.now());
  }

  /**
   * The busier direction since the last call, as a part of the link's rate: 0 to 1. `undefined` at the first call, and where
   * there are no counters: virtual functions in containers have none, software devices neither. Never rejects.
   */
  async sample(): Promise<number | undefined> {
    const [rate, sent, received] = await Promise.all([this.#rate(), this.#bytes('port_xmit_data'), this.#bytes('port_rcv_data')]);
    if (rate === undefined || sent === undefined || received === undefined) return undefined;
    const last = this.#last;
    const now = { at: this.#now(), sent, received };
    this.#last = now;
    if (last === undefined || now.at <= last.at) return undefined;
    const busier = Math.max(Number(sent - last.sent), Number(received - last.received));
    // Less than before: the counter was reset, or began anew.
    return Math.min(1, Math.max(0, busier) / ((rate * (now.at - last.at)) / 1000));
  }

  /** Bytes a second in each direction: `400 Gb/sec (4X NDR)`. */
  async #rate(): Promise<number | undefined> {
    const rate = /([0-9.]+)\s*Gb\/sec/.exec((await this.#read('rate')) ?? '');
    const gigabits = Number(rate?.[1] ?? Number.NaN);
    return gigabits > 0 ? (gigabits * 1e9) / 8 : undefined;
  }

  async #bytes(counter: string): Promise<bigint | undefined> {
    const text = await this.#read('counters', counter);
    return text !== undefined && /^\d+$/.test(text) ? BigInt(text) * bytesPerWord : undefined;
  }

  async #read(...path: readonly string[]): Promise<string | undefined> {
    try {
      return (await readFile(join(this.#folder, ...path), 'utf8')).trim();
    } catch {
      return undefined;
    }
  }
}
