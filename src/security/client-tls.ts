/** The TLS side of a client: its files, read again when they change, as what gRPC and node:tls take. */
import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, type ConnectionOptions, type PeerCertificate, type SecureContext } from 'node:tls';
import { ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { WeightcastError } from '../errors.js';
import { stampOf } from './file-stamp.js';
import { readCertificates, readKeyPair } from './pem.js';
import type { ClientTlsFiles } from './tls-files.js';

/** How often, at most, the files are looked at. Milliseconds. */
const checkIntervalMs = 5000;

/**
 * Sent as the server's name where only its address is known. gRPC would send the address, which TLS does not allow
 * there and some servers refuse.
 */
const unnamed = 'by-address.invalid';

export class ClientTls {
  readonly files: ClientTlsFiles;
  /** The name or address that the server's certificate must be for. */
  readonly expectedName: string;
  readonly #now: () => number;
  #secureContext: SecureContext;
  #credentials: ChannelCredentials;
  #stamp: string;
  #checkedAt: number;

  /**
   * Reads the files.
   *
   * @param host that is called, a name or an address without brackets.
   * @param now milliseconds of a clock that never goes back; for tests.
   * @throws ERR_TLS that names the file that cannot be used, and why.
   */
  constructor(files: ClientTlsFiles, host: string, now: () => number = () => performance.now()) {
    this.files = files;
    this.expectedName = files.serverName ?? host;
    this.#now = now;
    this.#stamp = this.#look();
    this.#checkedAt = now();
    this.#secureContext = secureContextOf(files);
    this.#credentials = this.#credentialsOf(this.#secureContext);
  }

  /**
   * What a channel connects with: the same object until the files have changed, which is looked for every 5 s at most,
   * since certificates are renewed while programs run. Files that cannot be used, such as a new certificate whose key
   * is still to be written, change nothing.
   */
  get credentials(): ChannelCredentials {
    if (this.#now() - this.#checkedAt < checkIntervalMs) return this.#credentials;
    this.#checkedAt = this.#now();
    const stamp = this.#look();
    if (stamp === this.#stamp) return this.#credentials;
    try {
      this.#secureContext = secureContextOf(this.files);
      this.#credentials = this.#credentialsOf(this.#secureContext);
      this.#stamp = stamp;
    } catch {
      // The stamp stays the old one, so that the files are tried again.
    }
    return this.#credentials;
  }

  /** Has the files looked at when they are needed next, because it seems that they do not do. */
  doubt(): void {
    this.#checkedAt = -Infinity;
  }

  get channelOptions(): ChannelOptions {
    return {
      'grpc.ssl_target_name_override': this.#sentName,
      ...(this.files.serverName !== undefined && { 'grpc.default_authority': this.files.serverName }),
    };
  }

  /** The same for node:tls. */
  get connectOptions(): ConnectionOptions {
    return { secureContext: this.#secureContext, servername: this.#sentName, ALPNProtocols: ['h2'] };
  }

  /** @returns what is wrong; undefined for a certificate of the expected name. */
  checkName(certificate: PeerCertificate): Error | undefined {
    return checkServerIdentity(this.expectedName, certificate);
  }

  get #sentName(): string {
    return isIP(this.expectedName) === 0 ? this.expectedName : unnamed;
  }

  #credentialsOf(context: SecureContext): ChannelCredentials {
    return ChannelCredentials.createFromSecureContext(context, {
      checkServerIdentity: (_sentName, certificate) => this.checkName(certificate),
    });
  }

  #look(): string {
    const { caFile, certFile, keyFile } = this.files;
    return stampOf(...[caFile, certFile, keyFile].filter((file) => file !== undefined));
  }
}

function secureContextOf({ caFile, certFile, keyFile }: ClientTlsFiles): SecureContext {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    const file = certFile ?? keyFile;
    throw new WeightcastError('ERR_TLS', `a client certificate and its key belong together, but only ${String(file)} is given`, { file });
  }
  return createSecureContext({
    ...(caFile !== undefined && { ca: readCertificates(caFile) }),
    ...(certFile !== undefined && keyFile !== undefined && readKeyPair(certFile, keyFile)),
    minVersion: 'TLSv1.2',
  });
}
