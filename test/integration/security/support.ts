/** Certificates in files, and clients of ours for the service of bytes. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { toWeightcastError } from '#src/errors.js';
import { parseTarget } from '#src/rpc/address.js';
import { type Method, RpcClient } from '#src/rpc/rpc-client.js';
import type { ClientSecurity } from '#src/security/tls-files.js';
import type { Logger } from '#src/observe/logger.js';
import { Authority, type CertificateOptions } from '../../support/certificates.js';
import { bytesDefinition, folder } from '../rpc/support.js';

export interface PairFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** An authority and the folder in which its certificates are written. */
export class TestAuthority {
  readonly caFile: string;
  readonly #authority: Authority;
  readonly #dir: string;

  private constructor(dir: string, caFile: string, authority: Authority) {
    this.#dir = dir;
    this.caFile = caFile;
    this.#authority = authority;
  }

  static async make(test: TestContext, name = 'Test Authority'): Promise<TestAuthority> {
    const dir = await folder(test);
    const authority = new Authority(name);
    const caFile = join(dir, 'ca.pem');
    await writeFile(caFile, authority.cert);
    return new TestAuthority(dir, caFile, authority);
  }

  /** A server's certificate for loopback unless `options` say otherwise. Issuing a name again replaces its files. */
  async issue(name: string, options: Partial<CertificateOptions> = {}): Promise<PairFiles> {
    const { cert, key } = this.#authority.issue({ commonName: name, names: ['localhost', '127.0.0.1'], ...options });
    const files = { certFile: join(this.#dir, `${name}.pem`), keyFile: join(this.#dir, `${name}.key`) };
    await writeFile(files.certFile, cert);
    await writeFile(files.keyFile, key);
    return files;
  }
}

const echo = bytesDefinition.Echo as Method<Buffer, Buffer>;

export interface BytesRpc {
  readonly rpc: RpcClient;
  /** Rejects with our errors. */
  readonly echo: (text: string, signal?: AbortSignal) => Promise<string>;
}

/** Our client, closed with the test. @param address with `https://` for TLS without files. */
export function connectBytes(
  test: TestContext,
  address: string,
  security: ClientSecurity = {},
  options: { readonly logger?: Logger; readonly timeoutMs?: number } = {},
): BytesRpc {
  const target = parseTarget(address, 1);
  const rpc = new RpcClient({
    address: target,
    timeoutMs: options.timeoutMs ?? 20_000,
    security: { ...security, tls: security.tls ?? (target.tls ? {} : undefined) },
    logger: options.logger,
    translate: (error, doing) => toWeightcastError(error, { doing, peer: address }),
  });
  test.after(() => {
    rpc.close();
  });
  const context = (signal?: AbortSignal) => ({ doing: 'cannot echo', signal });
  return { rpc, echo: async (text, signal) => (await rpc.unary(echo, Buffer.from(text), context(signal))).toString() };
}
