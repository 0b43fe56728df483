/** Listening on one address, with errors that name it. */
import { lookup } from 'node:dns/promises';
import type { AddressInfo, Server } from 'node:net';
import { toWeightcastError, WeightcastError } from '../errors.js';
import { type Address, formatAddress } from './address.js';

/** Connections that wait to be accepted. */
const backlog = 511;

/**
 * Binds to one address: a name is resolved to its first, so that a server is never left with half of what it was told.
 *
 * @returns the port, chosen by the system when `address.port` is 0.
 * @throws ERR_INVALID_ARGUMENT when the host cannot be resolved, ERR_IO when the system refuses; both name the address.
 */
export async function listen(server: Server, address: Address): Promise<number> {
  const host = await resolve(address);
  try {
    await new Promise<void>((done, failed) => {
      server.once('error', failed);
      server.listen({ host, port: address.port, backlog, exclusive: true }, () => {
        server.off('error', failed);
        done();
      });
    });
  } catch (error) {
    throw explain(error, address);
  }
  return (server.address() as AddressInfo).port;
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

function explain(error: unknown, address: Address): WeightcastError {
  const { code, syscall, errno } = error as NodeJS.ErrnoException;
  const reason = advice[code ?? ''];
  if (reason === undefined) return toWeightcastError(error, { doing: `cannot listen on ${formatAddress(address)}` });
  const text = `cannot listen on ${formatAddress(address)}: ${reason} (${String(syscall)} ${String(code)})`;
  return new WeightcastError('ERR_IO', text, { cause: error, syscall, errno });
}
