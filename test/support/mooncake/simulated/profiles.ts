/** How releases of Mooncake differ on the wire; each profile stands for those that behave alike. */
import type { JsonObject } from './wire.js';

export interface Profile {
  readonly name: string;
  /** Sides say their GIDs in Connection messages; without, a side asks the other one for its descriptor. */
  readonly saysGid: boolean;
  /** What a Connection gets that fails: `null`, or an object with the reason. */
  readonly refusal: 'null' | 'text';
  /** What a seed does with a second Connection of a path that it has connected. */
  readonly reconnect: {
    /** The same numbers: start the queue pairs anew, or leave all as it is. */
    readonly same: 'reset' | 'keep';
    /** Others: the same queue pairs, started anew, or new ones. */
    readonly other: 'reset' | 'fresh';
  };
  readonly probe: boolean;
  /** `version` 2 comes with a check of addresses. */
  readonly tcp: { readonly oneShot: boolean; readonly version: 1 | 2 };
  /** `ready_ack` in replies; in requests it announces a second message. */
  readonly confirms: boolean;
  /** `payload` in Connection messages. */
  readonly payload: boolean;
  /** Buffers must have as many keys as there are devices, or none. */
  readonly countsKeys: boolean;
  /** After so long without a byte a connection is dropped, ms; scaled down: 60 s before 0.3.13. */
  readonly silenceMs: number;
  /** Keys that only this release has. */
  readonly extras: { readonly descriptor: JsonObject; readonly connection: JsonObject };
}

const nothing: JsonObject = {};

export const p0: Profile = {
  name: 'P0 (0.3.9)',
  saysGid: false,
  refusal: 'null',
  reconnect: { same: 'reset', other: 'reset' },
  probe: false,
  tcp: { oneShot: true, version: 1 },
  confirms: false,
  payload: false,
  countsKeys: false,
  silenceMs: 60_000,
  extras: { descriptor: nothing, connection: nothing },
};

export const p1: Profile = {
  ...p0,
  name: 'P1 (0.3.10.post2)',
  reconnect: { same: 'keep', other: 'reset' },
  probe: true,
  tcp: { oneShot: false, version: 1 },
};

export const p2: Profile = { ...p1, name: 'P2 (0.3.11)', saysGid: true };

export const p3: Profile = {
  ...p2,
  name: 'P3 (0.3.12)',
  refusal: 'text',
  reconnect: { same: 'keep', other: 'fresh' },
  tcp: { oneShot: false, version: 2 },
  confirms: true,
};

export const p4: Profile = {
  ...p3,
  name: 'P4 (0.3.13)',
  payload: true,
  countsKeys: true,
  silenceMs: 5_000,
  extras: { descriptor: { rdma_server_name: '' }, connection: nothing },
};

export const p5: Profile = {
  ...p4,
  name: 'P5 (to come)',
  extras: {
    descriptor: { rdma_server_name: '', metadata_version: 3, tcp_caps: ['zc', { lanes: 4 }], tcp_zc_ports: [] },
    connection: { notify_qp_num: [77], notify_rq_depth: 256, ctrl_channel: { version: 1 }, path_mtu: 4096, protocol: 'rdma' },
  },
};

export const profiles: readonly Profile[] = [p0, p1, p2, p3, p4, p5];
