/** The messages beside the descriptor: Connection (queue pair exchange), Notify and Probe. */
import { Fields, type Place } from './fields.js';
import { type JsonObject, stringifyCompact } from './json.js';

/** Path MTUs that verbs know, bytes. */
const pathMtus = [256, 512, 1024, 2048, 4096];
const maxUint32 = 0xffff_ffff;

/** What Weightcast adds to a Connection message, under the key `weightcast`. Only answered, never volunteered, by a seed. */
export interface ConnectionExtras {
  readonly version: number;
  /** Request: reads that the initiator can have outstanding a queue pair. Reply: reads that the responder can serve. */
  readonly maxReads?: number | undefined;
  /** Bytes of the sender's active MTU. */
  readonly mtu?: number | undefined;
  /** Reply: the sender understands teardown. Request: destroy the queue pairs that pair with `queuePairs`. */
  readonly close?: boolean | undefined;
}

/** Request and reply of the queue pair exchange; the reply has the paths swapped. */
export interface ConnectionMessage {
  /** `<server name>@<device>` of the sender. */
  readonly localNicPath: string;
  readonly peerNicPath: string;
  /** The sender's queue pair numbers: its i-th pairs with the receiver's i-th. */
  readonly queuePairs: readonly number[];
  /** `''` is success; any text in a reply is a rejection. */
  readonly replyMessage: string;
  /** 16 hex pairs joined by `:`; `''` from peers that leave it to the descriptor. */
  readonly localGid: string;
  readonly localLid: number;
  /** `true`: confirms an earlier exchange. We never send the key: with it comes a protocol of confirmations. */
  readonly readyAck?: boolean | undefined;
  readonly weightcast?: ConnectionExtras | undefined;
}

export interface NotifyMessage {
  readonly name: string;
  readonly message: string;
}

export function encodeConnection(message: ConnectionMessage): string {
  const { weightcast } = message;
  return stringifyCompact({
    local_gid: message.localGid,
    local_lid: message.localLid,
    local_nic_path: message.localNicPath,
    payload: '',
    peer_nic_path: message.peerNicPath,
    qp_num: [...message.queuePairs],
    reply_msg: message.replyMessage,
    ...(weightcast === undefined ? {} : { weightcast: extrasObject(weightcast) }),
  });
}

function extrasObject(extras: ConnectionExtras): JsonObject {
  return {
    version: extras.version,
    ...(extras.maxReads === undefined ? {} : { max_reads: extras.maxReads }),
    ...(extras.mtu === undefined ? {} : { mtu: extras.mtu }),
    ...(extras.close === undefined ? {} : { close: extras.close }),
  };
}

/**
 * Checks and converts a parsed Connection message; absent fields read as empty.
 *
 * @throws WeightcastError `ERR_PROTOCOL` naming the field.
 */
export function decodeConnection(value: unknown, peer?: string): ConnectionMessage {
  const place: Place = { message: peer === undefined ? 'Connection message' : `Connection message of ${peer}`, peer };
  const fields = new Fields(value, place);
  return {
    localNicPath: fields.string('local_nic_path'),
    peerNicPath: fields.string('peer_nic_path'),
    queuePairs: fields.uints('qp_num', maxUint32),
    replyMessage: fields.string('reply_msg'),
    localGid: fields.gid('local_gid', true),
    localLid: fields.uint('local_lid', 0xffff),
    readyAck: fields.boolean('ready_ack'),
    weightcast: decodeExtras(fields.child('weightcast')),
  };
}

function decodeExtras(fields: Fields | undefined): ConnectionExtras | undefined {
  if (fields === undefined) return undefined;
  const mtu = fields.uint('mtu', 4096);
  if (mtu !== 0 && !pathMtus.includes(mtu)) fields.fail('mtu', 'a path MTU (256, 512, 1024, 2048 or 4096)');
  const maxReads = fields.uint('max_reads', maxUint32);
  return {
    version: fields.uint('version', maxUint32, 1),
    maxReads: maxReads === 0 ? undefined : maxReads,
    mtu: mtu === 0 ? undefined : mtu,
    close: fields.boolean('close'),
  };
}

export function encodeNotify(message: NotifyMessage): string {
  return stringifyCompact({ name: message.name, notify_msg: message.message });
}

/** @throws WeightcastError `ERR_PROTOCOL` naming the field. */
export function decodeNotify(value: unknown, peer?: string): NotifyMessage {
  const fields = new Fields(value, { message: 'Notify message', peer });
  return { name: fields.string('name'), message: fields.string('notify_msg') };
}

export const probeRequest = '{}';
export const probeReply = '{"status":"success"}';

/** A NIC path in its two parts, cut at the first `@`; `undefined` when there is none or a part is empty. */
export function splitNicPath(path: string): { readonly server: string; readonly device: string } | undefined {
  const at = path.indexOf('@');
  if (at <= 0 || at === path.length - 1) return undefined;
  return { server: path.slice(0, at), device: path.slice(at + 1) };
}
