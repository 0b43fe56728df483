/** The answering side of Connection messages, by the rules of each release. */
import type { Profile } from './profiles.js';
import { ask, Body, messageType, type Json, type JsonObject } from './wire.js';

export interface SimulatedDevice {
  readonly name: string;
  readonly gid: string;
  readonly lid: number;
}

/** Queue pairs of one path. */
interface Endpoint {
  numbers: number[];
  /** Empty until it is connected. */
  peerNumbers: readonly number[];
  peerGid: string;
  /** How often the queue pairs were started anew, from packet sequence 0. */
  starts: number;
}

let nextNumber = 0x4000;

export class SimulatedEndpoints {
  /** By own device and the other side's path. */
  readonly byPath = new Map<string, Endpoint>();

  /** `name`: the head of own NIC paths. */
  constructor(
    private readonly profile: Profile,
    private readonly name: () => string,
    private readonly devices: readonly SimulatedDevice[],
    private readonly queuePairs: number,
    private readonly ownDescriptor: () => Json,
  ) {}

  async handle(value: Json): Promise<Json> {
    const request = new Body(value);
    try {
      return await this.#accept(request);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return this.profile.refusal === 'null' ? null : this.#message(request, { qp_num: [], reply_msg: reason });
    }
  }

  async #accept(request: Body): Promise<Json> {
    const peerPath = request.text('local_nic_path');
    const ownPath = request.text('peer_nic_path');
    const [, deviceName = ''] = ownPath.split('@');
    const device = this.devices.find(({ name }) => name === deviceName);
    if (device === undefined) throw new Error('Local RDMA context not found');
    if (ownPath !== `${this.name()}@${deviceName}`) throw new Error(`peer nic path inconsistency, expect ${this.name()}@${deviceName}`);
    const peerNumbers = request.uints('qp_num');
    const key = `${deviceName} <- ${peerPath}`;
    if (this.profile.confirms && request.has('ready_ack') && this.#isConfirmed(key, peerNumbers)) return { reply_msg: '' };
    const gid = await this.#gidOf(request, peerPath);
    if (peerNumbers.length !== this.queuePairs) {
      throw new Error('QP count mismatch in peer and local endpoints, check MC_MAX_EP_PER_CTX');
    }
    const endpoint = this.#endpointFor(key, peerNumbers);
    endpoint.peerGid = gid;
    endpoint.peerNumbers = peerNumbers;
    const own = this.profile.saysGid ? { local_gid: device.gid, local_lid: device.lid } : {};
    return this.#message(request, { ...own, qp_num: endpoint.numbers, reply_msg: '' });
  }

  #endpointFor(key: string, peerNumbers: readonly number[]): Endpoint {
    const { same, other } = this.profile.reconnect;
    let endpoint = this.byPath.get(key);
    const connected = endpoint !== undefined && endpoint.peerNumbers.length > 0;
    const isSame = connected && endpoint?.peerNumbers.join() === peerNumbers.join();
    if (isSame && same === 'keep' && endpoint !== undefined) return endpoint;
    if (endpoint === undefined || (connected && !isSame && other === 'fresh')) {
      endpoint = { numbers: Array.from({ length: this.queuePairs }, () => nextNumber++), peerNumbers: [], peerGid: '', starts: 0 };
      this.byPath.set(key, endpoint);
    }
    endpoint.starts++;
    return endpoint;
  }

  #isConfirmed(key: string, peerNumbers: readonly number[]): boolean {
    return this.byPath.get(key)?.peerNumbers.join() === peerNumbers.join();
  }

  /** Old releases ask the other side, from inside their only listening thread. */
  async #gidOf(request: Body, peerPath: string): Promise<string> {
    const said = this.profile.saysGid ? request.text('local_gid') : '';
    if (said !== '') return said;
    const [server = '', device = ''] = peerPath.split('@');
    const descriptor = await ask(server, messageType.metadata, this.ownDescriptor());
    const found = new Body(descriptor ?? {}).objects('devices').find((each) => each.text('name') === device);
    if (found === undefined) throw new Error(`no GID of ${peerPath}`);
    return found.text('gid');
  }

  /** A reply: the paths swapped, and what the release adds. */
  #message(request: Body, fields: JsonObject): JsonObject {
    const { confirms, payload, saysGid, extras } = this.profile;
    return {
      ...(saysGid ? { local_gid: '', local_lid: 0 } : {}),
      ...(confirms ? { ready_ack: false } : {}),
      ...(payload ? { payload: '' } : {}),
      ...extras.connection,
      local_nic_path: request.text('peer_nic_path'),
      peer_nic_path: request.text('local_nic_path'),
      ...fields,
    };
  }
}
