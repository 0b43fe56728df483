/** A descriptor as the reader of each release takes it: one bad entry, and it takes nothing. */
import type { Profile } from './profiles.js';
import { Body, type Json } from './wire.js';

/** What a reader knows of a seed. */
export interface Offer {
  /** The head of the seed's NIC paths. */
  readonly server: string;
  readonly protocol: string;
  readonly tcp: { readonly host: string; readonly port: number; readonly version: number };
  readonly devices: readonly { readonly name: string; readonly gid: string; readonly lid: number }[];
  /** `keys[i]` belongs to device i. */
  readonly buffers: readonly { readonly address: number; readonly length: number; readonly keys: readonly number[] }[];
}

/** @throws Error with what a reader of this release refuses. */
export function readOffer(value: Json, profile: Profile): Offer {
  const body = new Body(value);
  const protocol = body.text('protocol');
  if (protocol !== 'rdma' && protocol !== 'tcp') throw new Error(`unsupported protocol ${protocol}`);
  const devices = body.objects('devices').map((device) => {
    const gid = device.text('gid');
    if (device.text('name') === '' || !/^([0-9a-f]{2}:){15}[0-9a-f]{2}$/.test(gid)) throw new Error(`bad device ${device.text('name')}`);
    return { name: device.text('name'), gid, lid: device.uint('lid') };
  });
  const buffers = body.objects('buffers').map((buffer) => {
    const address = buffer.uint('addr');
    const length = buffer.uint('length');
    const keys = buffer.uints('rkey');
    if (buffer.text('name') === '' || address === 0 || length === 0) throw new Error('bad buffer');
    if (protocol === 'rdma') {
      if (keys.length !== buffer.uints('lkey').length) throw new Error('bad keys');
      if (profile.countsKeys ? ![0, devices.length].includes(keys.length) : keys.length === 0) throw new Error('bad number of keys');
    }
    return { address, length, keys };
  });
  const ordered = protocol === 'rdma' ? inOrderOfMatrix(body, devices) : [];
  const name = body.text('name');
  const host = body.text('tcp_data_host') || name.slice(0, name.lastIndexOf(':'));
  const version = profile.tcp.version === 2 && body.uint('tcp_proto_version') >= 2 ? 2 : 1;
  return {
    server: body.text('rdma_server_name') || name,
    protocol,
    tcp: { host, port: body.uint('tcp_data_port'), version },
    devices: ordered,
    buffers,
  };
}

/**
 * A reader numbers devices in the order of the matrix, not of the list, and takes list and keys by that number. With one row both
 * orders are one; with several it would be that of a hash table.
 */
function inOrderOfMatrix(body: Body, devices: Offer['devices']): Offer['devices'] {
  const rows = Object.values(body.child('priority_matrix'));
  if (rows.length !== 1) throw new Error('this reader knows the order of matrices with one row only');
  const [preferred = [], others = []] = rows[0] as readonly (readonly string[])[];
  const numbered = [...preferred, ...others];
  if (numbered.length !== devices.length) throw new Error('matrix and devices differ');
  for (const [index, name] of numbered.entries()) {
    if (devices[index]?.name !== name)
      throw new Error(`device ${index} is ${name} in the matrix and ${devices[index]?.name ?? 'nothing'} in the list`);
  }
  return devices;
}
