/** A Mooncake process that reads from others. */
import { connect } from 'node:net';
import { SimulatedListener } from './listener.js';
import { readOffer, type Offer } from './offer.js';
import type { Profile } from './profiles.js';
import { ask, Body, ByteSource, messageType, type JsonObject } from './wire.js';
import type { SimulatedDevice } from './endpoints.js';

/** What a reader has when its queue pairs are in RTS. */
export interface Connected {
  readonly numbers: readonly number[];
  readonly peerNumbers: readonly number[];
  readonly peerGid: string;
}

let nextNumber = 0x8000;

export class SimulatedReader {
  private constructor(
    readonly profile: Profile,
    private readonly device: SimulatedDevice | undefined,
    private readonly listener: SimulatedListener,
  ) {}

  /** `device`: over RDMA; none: over TCP. Lives until the tests of the file end. */
  static async start(profile: Profile, device?: SimulatedDevice): Promise<SimulatedReader> {
    const listener = await SimulatedListener.listen(
      ({ type }) => (type === messageType.metadata ? reader.#describe() : undefined),
      profile.silenceMs,
    );
    const reader = new SimulatedReader(profile, device, listener);
    return reader;
  }

  /** How often it was asked for its descriptor. */
  get questions(): number {
    return this.listener.messages.length;
  }

  /** What opening a segment does. */
  async open(session: string): Promise<Offer> {
    const reply = await ask(session, messageType.metadata, this.#describe());
    if (reply === undefined) throw new Error(`no descriptor from ${session}, or one that is too long`);
    return readOffer(reply, this.profile);
  }

  /** Queue pairs with a device of the seed; `numbers` where it comes back with those that it had. */
  async connect(session: string, offer: Offer, remote: string, numbers = this.numbers(2)): Promise<Connected> {
    const { profile } = this;
    const request = this.#connection(offer, remote, numbers);
    const reply = await ask(session, messageType.connection, profile.confirms ? { ...request, ready_ack: false } : request);
    const body = new Body(reply ?? {});
    if (body.text('reply_msg') !== '') throw new Error(body.text('reply_msg'));
    if (body.text('local_nic_path') !== request['peer_nic_path'] || body.text('peer_nic_path') !== request['local_nic_path']) {
      throw new Error('received packet mismatch');
    }
    const peerNumbers = body.uints('qp_num');
    if (peerNumbers.length !== numbers.length) throw new Error('QP count mismatch');
    const listed = offer.devices.find(({ name }) => name === remote)?.gid ?? '';
    const peerGid = (profile.saysGid ? body.text('local_gid') : '') || listed;
    if (profile.confirms && body.has('ready_ack')) await this.confirm(session, request);
    return { numbers, peerNumbers, peerGid };
  }

  /** The second message of releases that confirm. */
  async confirm(session: string, request: JsonObject): Promise<void> {
    const reply = await ask(session, messageType.connection, { ...request, ready_ack: true });
    const reason = new Body(reply ?? { reply_msg: 'no reply' }).text('reply_msg');
    if (reason !== '') throw new Error(reason);
  }

  numbers(count: number): number[] {
    return Array.from({ length: count }, () => nextNumber++);
  }

  /** One request on a connection of its own, as releases without a pool do. `undefined`: rejected, or closed. */
  async readTcp(offer: Offer, address: number, size: number): Promise<Buffer | undefined> {
    const { host, port, version } = offer.tcp;
    const socket = connect({ host, port });
    socket.on('error', () => undefined);
    try {
      const header = Buffer.alloc(24, 0xa5);
      header.writeBigUInt64LE(BigInt(size), 0);
      header.writeBigUInt64LE(BigInt(address), 8);
      header.writeUInt8(version === 2 ? 0x80 : 0, 16);
      socket.write(header);
      const source = new ByteSource(socket);
      if (version === 2 && (await source.take(8))?.toString('hex') !== '000000005654434d') return undefined;
      return await source.take(size);
    } finally {
      socket.destroy();
    }
  }

  #connection(offer: Offer, remote: string, numbers: readonly number[]): JsonObject {
    const { profile, device, listener } = this;
    if (device === undefined) throw new Error('this reader has no device');
    return {
      ...(profile.saysGid ? { local_gid: device.gid, local_lid: device.lid } : {}),
      ...(profile.payload ? { payload: '' } : {}),
      ...profile.extras.connection,
      local_nic_path: `${listener.address}@${device.name}`,
      peer_nic_path: `${offer.server}@${remote}`,
      qp_num: numbers,
      reply_msg: '',
    };
  }

  /** Its own descriptor: what it sends with a question for another's, and answers when it is asked. */
  #describe(): JsonObject {
    const { device, listener, profile } = this;
    const common = { name: listener.address, tcp_data_port: 0, ...profile.extras.descriptor };
    const buffer = { addr: 0x7e00_0000_0000, length: 4096 };
    if (device === undefined) return { ...common, protocol: 'tcp', buffers: [{ ...buffer, name: listener.address }] };
    return {
      ...common,
      protocol: 'rdma',
      buffers: [{ ...buffer, name: 'cpu:0', rkey: [7], lkey: [7] }],
      devices: [{ ...device }],
      priority_matrix: { 'cpu:0': [[device.name], []] },
    };
  }
}
