/** A Mooncake process that others read from. */
import { SimulatedEndpoints, type SimulatedDevice } from './endpoints.js';
import { SimulatedListener } from './listener.js';
import type { SimulatedBuffer } from './memory.js';
import type { Profile } from './profiles.js';
import { serveTcp, type Fault, type TcpService } from './tcp-service.js';
import { Body, messageType, type Json, type JsonObject, type Message } from './wire.js';

export interface SimulatedSeedOptions {
  readonly buffers: readonly SimulatedBuffer[];
  /** None: the TCP transport. */
  readonly devices?: readonly SimulatedDevice[];
  /** Of each endpoint. Default 2, as Mooncake's. */
  readonly queuePairs?: number;
  /** Published as `rdma_server_name`, the head of its NIC paths then. */
  readonly rdmaServerName?: string;
  /** Done before a Connection is answered, by the thread that answers. */
  readonly whileConnecting?: (localNicPath: string) => Promise<void>;
  /** Replaces parts of the descriptor. */
  readonly descriptor?: JsonObject;
  /** Of a process that was there before. Default: any. */
  readonly ports?: { readonly handshake: number; readonly tcp: number };
  /** Awaited before each answer to a handshake message. */
  readonly beforeReply?: (message: Message) => Promise<void>;
  /** Of a TCP seed. */
  readonly fault?: Fault;
}

export class SimulatedSeed {
  readonly endpoints: SimulatedEndpoints;

  private constructor(
    readonly profile: Profile,
    private readonly options: SimulatedSeedOptions,
    private readonly tcp: TcpService | undefined,
    private readonly listener: SimulatedListener,
  ) {
    const { devices = [], queuePairs = 2, rdmaServerName } = options;
    const descriptor = (): JsonObject => this.describe();
    this.endpoints = new SimulatedEndpoints(profile, () => rdmaServerName ?? this.address, devices, queuePairs, descriptor);
  }

  /** Serves until it is killed or the tests of the file end. */
  static async start(profile: Profile, options: SimulatedSeedOptions): Promise<SimulatedSeed> {
    const isTcp = (options.devices ?? []).length === 0;
    const tcp = isTcp ? await serveTcp(profile, options.buffers, { port: options.ports?.tcp, fault: options.fault }) : undefined;
    const answer = async (message: Message): Promise<Json | undefined> => {
      await options.beforeReply?.(message);
      return seed.#answer(message);
    };
    const listener = await SimulatedListener.listen(answer, profile.silenceMs, options.ports?.handshake);
    const seed = new SimulatedSeed(profile, options, tcp, listener);
    return seed;
  }

  /** Its session id. */
  get address(): string {
    return this.listener.address;
  }

  /** Messages so far. */
  get messages(): readonly Message[] {
    return this.listener.messages;
  }

  /** What one that comes back at the same place needs. */
  get ports(): { readonly handshake: number; readonly tcp: number } {
    return { handshake: Number(this.address.split(':').at(-1)), tcp: this.tcp?.port ?? 0 };
  }

  /** The ports are free, connections stay. */
  leave(): void {
    this.listener.leave();
    this.tcp?.leave();
  }

  /** The ports are free, all connections are reset. */
  async kill(): Promise<void> {
    await Promise.all([this.listener.kill(), this.tcp?.kill()]);
  }

  /** Of a TCP seed. */
  get tcpService(): TcpService {
    if (this.tcp === undefined) throw new Error('this seed serves no TCP');
    return this.tcp;
  }

  describe(): JsonObject {
    const { profile, options } = this;
    const { devices = [], buffers, rdmaServerName } = options;
    const names = devices.map(({ name }) => name);
    const keys = devices.map((_, index) => 0x1000 + index);
    const listed = buffers.map(({ address, bytes }) => ({ addr: address, length: bytes.length }));
    const isTcp = this.tcp !== undefined;
    return {
      ...(profile.tcp.version === 2 ? { tcp_proto_version: isTcp ? 2 : 1 } : {}),
      ...profile.extras.descriptor,
      ...(rdmaServerName === undefined ? {} : { rdma_server_name: rdmaServerName }),
      name: this.address,
      protocol: isTcp ? 'tcp' : 'rdma',
      tcp_data_port: this.tcp?.port ?? 0,
      timestamp: '2026-11-23 10:15:30.123456',
      buffers: isTcp
        ? listed.map((buffer) => ({ ...buffer, name: this.address }))
        : listed.map((buffer) => ({ ...buffer, name: 'cpu:0', rkey: keys, lkey: keys })),
      ...(isTcp ? {} : { devices: devices.map((device) => ({ ...device })), priority_matrix: { 'cpu:0': [names, []] } }),
      ...options.descriptor,
    };
  }

  #answer({ type, body }: Message): Promise<Json | undefined> | Json | undefined {
    switch (type) {
      case messageType.metadata:
        return this.describe();
      case messageType.notify:
        return { name: '', notify_msg: 'success' };
      case messageType.probe:
        return this.profile.probe ? { status: 'success' } : undefined;
      case messageType.connection:
        return this.#connect(body);
      default:
        return undefined;
    }
  }

  async #connect(body: Json): Promise<Json> {
    if (this.tcp !== undefined) {
      // No endpoints here: real processes over TCP answer with empty fields.
      const gid = this.profile.saysGid ? { local_gid: '', local_lid: 0 } : {};
      return { ...gid, local_nic_path: '', peer_nic_path: '', qp_num: [], reply_msg: '' };
    }
    await this.options.whileConnecting?.(new Body(body).text('local_nic_path'));
    return this.endpoints.handle(body);
  }
}
