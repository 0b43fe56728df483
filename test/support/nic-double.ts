/**
 * Doubles of an RDMA device, which is hardware: they hand out queue pair numbers and record what is asked of them. What real
 * verbs do with the same calls is for the tests in `softroce/`.
 */
import type {
  NativeEndpoint,
  NativeFault,
  NativeNic,
  NativePathChoice,
  NativePeerQueuePairs,
  NativeRegion,
  NativeRegistration,
  NativeRegistrations,
} from '#src/native.js';

/** GID of 10.0.0.`host`, RoCE v2. */
export function gidOf(host: number): string {
  return `00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:00:${host.toString(16).padStart(2, '0')}`;
}

let nextNumber = 0x100;

/** Queue pairs without a device: `state` is what real ones would be in. */
export class EndpointDouble implements NativeEndpoint {
  readonly numbers: Uint32Array;
  readonly role: 'initiator' | 'responder';
  readonly sendDepth: number;
  state: 'INIT' | 'RTS' | 'closed' = 'INIT';
  peer: NativePeerQueuePairs | undefined;
  readonly #nic: NicDouble;

  constructor(nic: NicDouble, role: 'initiator' | 'responder', count: number, sendDepth: number) {
    this.#nic = nic;
    this.role = role;
    this.sendDepth = sendDepth;
    this.numbers = Uint32Array.from({ length: count }, () => nextNumber++);
  }

  get maxReads(): number {
    return this.peer?.maxReads ?? 0;
  }

  async connect(peer: NativePeerQueuePairs): Promise<void> {
    await this.#nic.beforeConnect();
    if (this.state !== 'INIT') throw fault(`queue pairs are ${this.state}`, 'INVALID_ARGUMENT', '');
    if (peer.numbers.length !== this.numbers.length) throw fault('queue pair counts differ', 'INVALID_ARGUMENT', '');
    this.peer = peer;
    this.state = 'RTS';
  }

  async close(): Promise<void> {
    this.state = 'closed';
  }
}

/** A port that always opens. */
export class NicDouble implements NativeNic {
  readonly device: string;
  readonly gid: string;
  readonly gidIndex = 1;
  readonly lid: number;
  readonly mtu: number;
  readonly maxMessage = 2 ** 30;
  readonly maxSge = 16;
  readonly maxInitiatorReads: number;
  readonly maxResponderReads: number;
  readonly maxRegionBytes: bigint;
  /** Every endpoint that was ever made, in order. */
  readonly endpoints: EndpointDouble[] = [];
  /** Awaited by every `createEndpoint` and `connect`: throw or wait in it. */
  beforeCreate: () => Promise<void> = async () => undefined;
  beforeConnect: () => Promise<void> = async () => undefined;
  /** What `register` does first; a double has no memory of its own. */
  beforeRegister: (region: NativeRegion, path: NativePathChoice) => void = () => {
    throw fault('the double has no memory', 'REGISTRATION', 'ibv_reg_mr');
  };
  /** What is registered. */
  readonly registered = new Set<{ region: NativeRegion; offset: bigint; length: bigint; access: string; key: number }>();

  constructor(
    device: string,
    gid: string,
    attributes: { lid?: number; mtu?: number; initiatorReads?: number; responderReads?: number; maxRegionBytes?: bigint } = {},
  ) {
    this.device = device;
    this.gid = gid;
    this.lid = attributes.lid ?? 0;
    this.mtu = attributes.mtu ?? 4096;
    this.maxInitiatorReads = attributes.initiatorReads ?? 16;
    this.maxResponderReads = attributes.responderReads ?? 16;
    this.maxRegionBytes = attributes.maxRegionBytes ?? 2n ** 64n - 1n;
  }

  /** Those that are not closed. */
  get open(): EndpointDouble[] {
    return this.endpoints.filter(({ state }) => state !== 'closed');
  }

  async createEndpoint(role: 'initiator' | 'responder', count: number, sendDepth: number): Promise<EndpointDouble> {
    await this.beforeCreate();
    const endpoint = new EndpointDouble(this, role, count, sendDepth);
    this.endpoints.push(endpoint);
    return endpoint;
  }

  async register(
    region: NativeRegion,
    offset: bigint,
    length: bigint,
    access: string,
    path: NativePathChoice,
  ): Promise<NativeRegistration> {
    this.beforeRegister(region, path);
    const key = nextNumber++;
    const registered = { region, offset, length, access, key };
    this.registered.add(registered);
    return {
      localKey: key,
      remoteKey: key,
      path: region.device === undefined ? 'host' : path === 'auto' ? 'dma-buf' : path,
      close: async () => void this.registered.delete(registered),
    };
  }

  async registerAll(
    regions: readonly NativeRegion[],
    region: Uint32Array,
    offset: BigUint64Array,
    length: BigUint64Array,
    path: NativePathChoice,
  ): Promise<NativeRegistrations> {
    const made: NativeRegistration[] = [];
    const close = async (): Promise<void> => {
      await Promise.all(made.map((each) => each.close()));
    };
    try {
      for (const [row, which] of region.entries())
        made.push(await this.register(regions[which]!, offset[row]!, length[row]!, 'remote-read', path));
    } catch (error) {
      await close();
      throw error;
    }
    return { remoteKeys: Uint32Array.from(made, ({ remoteKey }) => remoteKey), paths: ['host'], close };
  }

  async close(): Promise<void> {
    return undefined;
  }
}

/** An error as the addon throws it. */
export function fault(message: string, nativeCode: NativeFault['nativeCode'], call: string, errno = 22): NativeFault {
  return Object.assign(new Error(message), { nativeCode, call, errno, wcStatus: 0, vendorError: 0 });
}
