import { toWeightcastError } from '../errors.js';
import { formatAddress, parseAddress, type SegmentDescriptor } from '../handshake/index.js';
import { native } from '../native.js';
import type { Connection, ConnectOptions } from './connection.js';
import { tcpPort } from './decide.js';

/** Opens the TCP connections. They go where the descriptor says, else to the host of its name, as Mooncake's do. */
export async function connectTcp(descriptor: SegmentDescriptor, options: ConnectOptions): Promise<Connection> {
  const host = descriptor.tcpDataHost ?? parseAddress(descriptor.name).host;
  const port = tcpPort(descriptor);
  const version = descriptor.protocol === 'rdma' ? (descriptor.weightcast?.tcpProtoVersion ?? 1) : descriptor.tcpProtoVersion;
  const settled = await Promise.allSettled(
    Array.from({ length: options.connections }, (_, index) =>
      native().connectTcpLane({
        name: `tcp #${String(index + 1)}`,
        host,
        port,
        protocolVersion: version >= 2 ? 2 : 1,
        connectTimeoutMs: 5000,
        stallTimeoutMs: options.stallTimeoutMs,
      }),
    ),
  );
  const lanes = settled.flatMap((outcome) =>
    outcome.status === 'fulfilled' ? [{ lane: outcome.value, localDevice: undefined, remoteDevice: undefined }] : [],
  );
  const close = async (): Promise<void> => {
    await Promise.all(lanes.map((open) => open.lane.close()));
  };
  const failed = settled.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    await close();
    throw toWeightcastError(failed.reason, { doing: 'cannot connect for TCP reads', peer: formatAddress(host, port) });
  }
  return {
    transport: 'tcp',
    lanes,
    bufferAddress: BigUint64Array.from(descriptor.buffers, (buffer) => buffer.address),
    bufferLength: BigUint64Array.from(descriptor.buffers, (buffer) => buffer.length),
    // IOV_MAX of Linux: what one recvmsg scatters into.
    maxSegments: 1024,
    maxMessage: 0xffff_ffff,
    // Our seed's threads send what is in the cache still; Mooncake's one I/O thread rests between two requests.
    sliceBytes: descriptor.weightcast === undefined ? 8 << 20 : 1 << 20,
    notes: [],
    close,
  };
}
