/** Certificates and tokens of a server that wants both, in one folder, for processes that are told no more than where it is. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { ClientSecurity, ServerTlsFiles } from '#src/security/tls-files.js';
import { Authority } from '../../support/certificates.js';
import { type Cleanup, folder } from './support.js';

const hourMs = 3_600_000;

/** The token of the client that is measured; of an attacker until it is taken back; of nobody. */
export const tokens = { own: 'own-0123456789abcdef', rotated: 'rotated-0123456789abcdef', wrong: 'wrong-0123456789abcdef' } as const;

export type Certificate = 'good' | 'expired' | 'foreign';

/** @returns the folder, which goes with the test. */
export async function makeSecureSide(test: Cleanup): Promise<string> {
  const at = await folder(test);
  const authority = new Authority('Test Authority');
  const names = ['localhost', '127.0.0.1'];
  const pairs = {
    server: authority.issue({ commonName: 'server', names }),
    good: authority.issue({ commonName: 'good' }),
    expired: authority.issue({ commonName: 'expired', from: new Date(Date.now() - 2 * hourMs), to: new Date(Date.now() - hourMs) }),
    foreign: new Authority('Another Authority').issue({ commonName: 'foreign' }),
  };
  await writeFile(join(at, 'ca.pem'), authority.cert);
  for (const [name, { cert, key }] of Object.entries(pairs)) {
    await writeFile(join(at, `${name}.pem`), cert);
    await writeFile(join(at, `${name}.key`), key);
  }
  await writeFile(join(at, 'own-token'), tokens.own, { mode: 0o600 });
  await letIn(at, [tokens.own]);
  return at;
}

/** From the next call on these tokens are good. */
export function letIn(at: string, list: readonly string[]): Promise<void> {
  return writeFile(tokenFile(at), `${list.join('\n')}\n`, { mode: 0o600 });
}

export const tokenFile = (at: string): string => join(at, 'tokens');

export function serverTls(at: string): ServerTlsFiles {
  return { certFile: join(at, 'server.pem'), keyFile: join(at, 'server.key'), clientCaFile: join(at, 'ca.pem') };
}

/** For a client of `node:tls`. @param certificate undefined: it shows none. */
export function clientTls(at: string, certificate?: Certificate): SecureContextOptions {
  const ca = readFileSync(join(at, 'ca.pem'));
  if (certificate === undefined) return { ca };
  return { ca, cert: readFileSync(join(at, `${certificate}.pem`)), key: readFileSync(join(at, `${certificate}.key`)) };
}

/** For a client that may come in. */
export function ownSecurity(at: string): ClientSecurity {
  const tls = { caFile: join(at, 'ca.pem'), certFile: join(at, 'good.pem'), keyFile: join(at, 'good.key') };
  return { tls, tokenFile: join(at, 'own-token') };
}
