/** The serving end of the TCP transport, of any release. */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { after } from 'node:test';
import { bytesAt, type SimulatedBuffer } from './memory.js';
import type { Profile } from './profiles.js';
import { ByteSource, reset } from './wire.js';

const statusOk = Buffer.from('000000005654434d', 'hex');
const statusRejected = Buffer.from('010000005654434d', 'hex');
const headerBytes = 24;

/** An answer as it should be, and which one it is of the service, from 0. */
export interface DueAnswer {
  /** Status, where there is one, and body. */
  readonly bytes: Buffer;
  readonly statusBytes: number;
  readonly number: number;
}

/** What a faulty service does: the bytes that leave instead, and whether the connection ends after them. */
export type Fault = (due: DueAnswer) => Promise<FaultyAnswer> | FaultyAnswer;

export interface FaultyAnswer {
  readonly bytes: Buffer;
  /** `reset`: as when the process is killed. */
  readonly then?: 'close' | 'reset';
}

export interface TcpServiceOptions {
  /** Default: any. */
  readonly port?: number | undefined;
  /** Default: answers are as they should be. */
  readonly fault?: Fault | undefined;
}

export interface TcpService {
  readonly port: number;
  /** Opcodes as they came. */
  readonly opcodes: number[];
  connections: number;
  rejected: number;
  /** Gives the port back; connections stay. */
  leave(): void;
  /** Gives the port back and resets all connections, as the death of a process does. */
  kill(): Promise<void>;
}

/** Serves reads until it is killed or the tests of the file end. */
export async function serveTcp(
  profile: Profile,
  buffers: readonly SimulatedBuffer[],
  { port = 0, fault = ({ bytes }) => ({ bytes }) }: TcpServiceOptions = {},
): Promise<TcpService> {
  let answers = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    service.connections++;
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    void serve(socket);
  });
  const serve = async (socket: Socket): Promise<void> => {
    const source = new ByteSource(socket);
    for (;;) {
      const header = await source.take(headerBytes);
      if (header === undefined) return;
      const size = Number(header.readBigUInt64LE(0));
      const address = Number(header.readBigUInt64LE(8));
      const opcode = header.readUInt8(16);
      service.opcodes.push(opcode);
      const bytes = size === 0 ? undefined : bytesAt(buffers, address, size);
      const answersWithStatus = profile.tcp.version === 2 && (opcode & 0x80) !== 0;
      if (bytes === undefined) {
        service.rejected++;
        // Without a check, as before 0.3.12, it would read what is there, or die.
        socket.end(answersWithStatus ? statusRejected : Buffer.alloc(0));
        return;
      }
      const status = answersWithStatus ? statusOk : Buffer.alloc(0);
      const answer = await fault({ bytes: Buffer.concat([status, bytes]), statusBytes: status.length, number: answers++ });
      if (answer.then === 'reset') {
        // What was written before a reset may never arrive; this is to.
        socket.write(answer.bytes, () => reset(socket));
        return;
      }
      socket.write(answer.bytes);
      if (profile.tcp.oneShot || answer.then === 'close') {
        socket.end();
        return;
      }
    }
  };
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const leave = (): void => void server.close();
  const kill = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) reset(socket);
    await closed;
  };
  after(kill);
  const service: TcpService = { port: (server.address() as AddressInfo).port, opcodes: [], connections: 0, rejected: 0, leave, kill };
  return service;
}
