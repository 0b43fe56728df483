/** Binding a gRPC server, with errors that name the address; and stopping it within a bounded time. */
import { lookup } from 'node:dns/promises';
import { createServer } from 'node:net';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import { toWeightcastError, WeightcastError } from '../errors.js';
import { type Address, formatAddress } from './address.js';

/**
 * Binds to one address: a name is resolved to its first, so that a server is never left with half of what it was told.
 *
 * @returns the port, chosen by the system when `address.port` is 0.
 * @throws ERR_INVALID_ARGUMENT when the host cannot be resolved, ERR_IO when the system refuses; both name the address.
 */
export async function bind(server: Server, address: Address): Promise<number> {
  const ip = await resolve(address);
  // gRPC prints bind failures and makes one text of them; a probe gets the system's own error.
  await probe(ip, address);
  return new Promise((done, failed) => {
    server.bindAsync(formatAddress({ host: ip, port: address.port }), ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) done(port);
      else failed(new WeightcastError('ERR_IO', `cannot listen on ${formatAddress(address)}: ${error.message}`, { cause: error }));
    });
  });
}

async function resolve(address: Address): Promise<string> {
  try {
    return (await lookup(address.host)).address;
  } catch (error) {
    const text = `cannot listen on ${formatAddress(address)}: the host name is not known; give an address of this machine`;
    throw new WeightcastError('ERR_INVALID_ARGUMENT', text, { cause: error });
  }
}

const advice: Record<string, string> = {
  EADDRINUSE: 'the port is in use; stop the process that holds it or choose another port',
  EADDRNOTAVAIL: 'no interface of this machine has that address',
  EACCES: 'ports below 1024 need privileges; choose another port',
};

async function probe(ip: string, address: Address): Promise<void> {
  const socket = createServer();
  try {
    await new Promise<void>((done, failed) => {
      socket.once('error', failed);
      socket.listen({ host: ip, port: address.port, exclusive: true }, done);
    });
  } catch (error) {
    const { code, syscall, errno } = error as NodeJS.ErrnoException;
    const reason = advice[code ?? ''];
    if (reason === undefined) throw toWeightcastError(error, { doing: `cannot listen on ${formatAddress(address)}` });
    const text = `cannot listen on ${formatAddress(address)}: ${reason} (${String(syscall)} ${String(code)})`;
    throw new WeightcastError('ERR_IO', text, { cause: error, syscall, errno });
  }
  await new Promise((done) => socket.close(done));
}

/** Stops accepting, lets running calls finish for up to `graceMs` milliseconds, then ends them. */
export async function shutDown(server: Server, graceMs: number): Promise<void> {
  await new Promise<void>((done) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      done();
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      done();
    });
  });
}
