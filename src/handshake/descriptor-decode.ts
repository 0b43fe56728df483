/** Descriptors of strangers: every field checked; one bad device or buffer rejects the whole. */
import { WeightcastError } from '../errors.js';
import { parseAddress } from './address.js';
import type {
  DevicePriority,
  LocalSocket,
  SegmentBuffer,
  SegmentDescriptor,
  SegmentDevice,
  SegmentExtras,
  SegmentProtocol,
} from './descriptor.js';
import { Fields, type Place } from './fields.js';
import type { JsonValue } from './json.js';

const maxKey = 0xffff_ffff;
const maxPort = 0xffff;
/** Of a device or a host; the kernel's own limit for devices is 64. */
const maxNameLength = 256;
/** sun_path has 108 bytes, of which the abstract namespace takes the first. */
const maxSocketName = 106;
const endOfAddresses = 2n ** 64n;

export interface DecodeOptions {
  /** Whose descriptor, for messages. */
  readonly peer?: string | undefined;
  /** Which transport to take of a peer that offers several. Default `rdma`. */
  readonly prefer?: SegmentProtocol | undefined;
}

/**
 * Checks and converts a parsed descriptor.
 *
 * @throws WeightcastError `ERR_PROTOCOL` naming the field; `ERR_TRANSPORT_UNAVAILABLE` for a protocol other than rdma and tcp.
 */
export function decodeDescriptor(value: unknown, options: DecodeOptions = {}): SegmentDescriptor {
  const place: Place = { message: describe(options.peer), peer: options.peer };
  const fields = new Fields(value, place);
  const protocol = chooseProtocol(fields, options);
  const devices = protocol === 'rdma' ? decodeDevices(fields, place) : [];
  if (new Set(devices.map(({ name }) => name)).size !== devices.length) fields.fail('devices', 'distinct device names');
  const mixed = Array.isArray(fields.raw('protocol'));
  const buffers: SegmentBuffer[] = [];
  const inBuffers: Place = { ...place, list: 'buffers' };
  for (const [index, buffer] of fields.array('buffers').entries()) {
    const decoded = decodeBuffer(new Fields(buffer, inBuffers, index), protocol, mixed, devices.length);
    if (decoded !== undefined) buffers.push(decoded);
  }
  return {
    name: fields.string('name'),
    protocol,
    tcpDataPort: protocol === 'tcp' ? decodeTcpPort(fields) : fields.uint('tcp_data_port', maxPort),
    tcpDataHost: fields.string('tcp_data_host', maxNameLength) || undefined,
    tcpProtoVersion: fields.uint('tcp_proto_version', maxKey, 1),
    timestamp: fields.raw('timestamp') === undefined ? undefined : fields.string('timestamp'),
    rdmaServerName: fields.string('rdma_server_name') || undefined,
    devices,
    buffers,
    priorityMatrix: protocol === 'rdma' ? decodeMatrix(fields) : new Map<string, DevicePriority>(),
    weightcast: decodeExtras(fields.child('weightcast')),
  };
}

/** Name and devices of a descriptor whose buffers do not matter: who asks us, and at which addresses it can be reached. */
export interface SegmentOwner {
  readonly names: readonly string[];
  readonly devices: readonly SegmentDevice[];
}

/** @throws WeightcastError `ERR_PROTOCOL` naming the field. */
export function decodeOwner(value: unknown, peer?: string): SegmentOwner {
  const place: Place = { message: describe(peer), peer };
  const fields = new Fields(value, place);
  const names = [fields.string('name'), fields.string('rdma_server_name')].filter((name) => name !== '' && name.length <= maxNameLength);
  return { names, devices: decodeDevices(fields, place) };
}

function describe(peer: string | undefined): string {
  return peer === undefined ? 'segment descriptor' : `segment descriptor of ${peer}`;
}

/** Mooncake before 0.3.5 does not say: its data port is the one behind the handshake's. */
function decodeTcpPort(fields: Fields): number {
  const name = fields.string('name');
  if (fields.raw('tcp_data_port') !== undefined || name === '') return fields.uint('tcp_data_port', maxPort);
  try {
    return (parseAddress(name).port + 1) % (maxPort + 1);
  } catch {
    return 0;
  }
}

/** A string, or an array in builds with several transports, where each buffer says its own. */
function chooseProtocol(fields: Fields, { peer, prefer = 'rdma' }: DecodeOptions): SegmentProtocol {
  const value = fields.raw('protocol');
  const offered = Array.isArray(value) ? value : [value];
  if (offered.length === 0 || !offered.every((name) => typeof name === 'string')) fields.fail('protocol', 'a string or strings');
  const known = offered.filter((name): name is SegmentProtocol => name === 'rdma' || name === 'tcp');
  const chosen = known.includes(prefer) ? prefer : known[0];
  if (chosen !== undefined) return chosen;
  throw new WeightcastError(
    'ERR_TRANSPORT_UNAVAILABLE',
    `${describe(peer)}: protocol ${JSON.stringify(offered).slice(0, 200)} cannot be read; Weightcast reads rdma and tcp`,
    { peer },
  );
}

function decodeDevices(fields: Fields, place: Place): SegmentDevice[] {
  const inDevices: Place = { ...place, list: 'devices' };
  return fields.array('devices').map((value, index) => {
    const device = new Fields(value, inDevices, index);
    return { name: device.nonEmpty('name', maxNameLength), gid: device.gid('gid', false), lid: device.uint('lid', 0xffff) };
  });
}

/** `undefined` for a buffer of another transport. */
function decodeBuffer(fields: Fields, protocol: SegmentProtocol, mixed: boolean, devices: number): SegmentBuffer | undefined {
  if (mixed && fields.string('protocol') !== protocol) return undefined;
  const location = fields.nonEmpty('name');
  const address = fields.positive64('addr');
  const length = fields.positive64('length');
  if (address + length > endOfAddresses) fields.fail('length', 'a range below 2^64');
  if (protocol === 'tcp') return { location, address, length, remoteKeys: [], readable: true };
  const remoteKeys = fields.uints('rkey', maxKey);
  const localKeys = fields.uints('lkey', maxKey);
  if (remoteKeys.length !== 0 && remoteKeys.length !== devices) fields.fail('rkey', `${String(devices)} keys, one a device,`);
  if (localKeys.length !== remoteKeys.length) fields.fail('lkey', `${String(remoteKeys.length)} keys, as many as rkey has,`);
  return { location, address, length, remoteKeys, localKeys, readable: remoteKeys.some((key) => key !== 0) };
}

/** Absent: nothing is usable, as for Mooncake's own readers. */
function decodeMatrix(fields: Fields): Map<string, DevicePriority> {
  const matrix = new Map<string, DevicePriority>();
  for (const [location, row] of fields.child('priority_matrix')?.entries() ?? []) {
    if (!Array.isArray(row) || row.length !== 2 || !row.every(isNameList)) {
      fields.fail('priority_matrix', `[[preferred names],[other names]] at ${JSON.stringify(location).slice(0, 60)}`);
    }
    matrix.set(location, { preferred: row[0] as string[], others: row[1] as string[] });
  }
  return matrix;
}

function isNameList(value: JsonValue): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

function decodeExtras(fields: Fields | undefined): SegmentExtras | undefined {
  if (fields === undefined) return undefined;
  const port = fields.uint('tcp_data_port', maxPort);
  const protocolVersion = fields.uint('tcp_proto_version', maxKey, 1);
  const local = decodeLocal(fields.child('local'));
  return {
    version: fields.uint('version', maxKey, 1),
    tcpDataPort: port === 0 ? undefined : port,
    tcpProtoVersion: port === 0 ? undefined : protocolVersion,
    ...(local !== undefined && { local }),
  };
}

/** What cannot be a socket of ours is as good as none: it is only ever one way more. */
function decodeLocal(fields: Fields | undefined): LocalSocket | undefined {
  const name = fields?.string('socket', maxSocketName) ?? '';
  const token = fields?.string('token', 64) ?? '';
  return name !== '' && /^[0-9a-f]{64}$/.test(token) ? { name, token } : undefined;
}
