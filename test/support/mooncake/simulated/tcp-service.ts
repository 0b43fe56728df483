/** The serving end of the TCP transport, of any release. */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { after } from 'node:test';
import { bytesAt, type SimulatedBuffer } from './memory.js';
import type { Profile } from './profiles.js';
import { ByteSource } from './wire.js';

const statusOk = Buffer.from('000000005654434d', 'hex');
const statusRejected = Buffer.from('010000005654434d', 'hex');
const headerBytes = 24;

export interface TcpService {
  readonly port: number;
  /** Opcodes as they came. */
  readonly opcodes: number[];
  connections: number;
  rejected: number;
}

/** Serves reads until the tests of the file end. */
export async function serveTcp(profile: Profile, buffers: readonly SimulatedBuffer[]): Promise<TcpService> {
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
      if (answersWithStatus) socket.write(statusOk);
      socket.write(bytes);
      if (profile.tcp.oneShot) {
        socket.end();
        return;
      }
    }
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const service: TcpService = { port: (server.address() as AddressInfo).port, opcodes: [], connections: 0, rejected: 0 };
  return service;
}
