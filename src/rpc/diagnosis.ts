/** Finding out whether it was TLS that kept a call from its server. */
import { status } from '@grpc/grpc-js';
import type { ClientTls } from '../security/client-tls.js';
import { speaksTls, whyTlsFails } from '../security/tls-probe.js';
import { type Address, formatAddress } from './address.js';

/** How long a look may take, and how long its result holds: while a server is wrong, every call fails at once. Milliseconds. */
const lookMs = 2000;
const keepMs = 2000;

/** Failures in which there was nobody to speak TLS with. */
const nobodyThere = /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|Name resolution failed/;

/** gRPC's words for HTTP/2's INADEQUATE_SECURITY, with which a Weightcast server turns such connections away. */
const inadequateSecurity = 'Protocol not secure enough';

function mayBeTls(code: unknown, details: string): boolean {
  if (code === status.PERMISSION_DENIED) return details === inadequateSecurity;
  return code === status.UNAVAILABLE && !nobodyThere.test(details);
}

export class Diagnosis {
  readonly #address: Address;
  readonly #tls: ClientTls | undefined;
  #last: { readonly at: number; readonly reason: Promise<string | undefined> } | undefined;

  /** @param tls undefined: clear text is spoken. */
  constructor(address: Address, tls: ClientTls | undefined) {
    this.#address = address;
    this.#tls = tls;
  }

  /** @returns what is wrong with TLS, as a sentence that names the server; undefined for every other failure. Never rejects. */
  of(error: unknown): Promise<string | undefined> {
    const { code, details } = error as { code?: unknown; details?: unknown };
    if (typeof details !== 'string' || !mayBeTls(code, details)) return Promise.resolve(undefined);
    const now = performance.now();
    if (this.#last === undefined || now - this.#last.at > keepMs) this.#last = { at: now, reason: this.#look() };
    return this.#last.reason;
  }

  async #look(): Promise<string | undefined> {
    const peer = formatAddress(this.#address);
    if (this.#tls !== undefined) {
      const reason = await whyTlsFails(this.#address, this.#tls, lookMs);
      if (reason === undefined) return undefined;
      this.#tls.doubt();
      return `TLS with ${peer} fails: ${reason}`;
    }
    if (!(await speaksTls(this.#address, lookMs))) return undefined;
    return `${peer} speaks TLS, and was called in clear text; write https://${peer}, and give --tls-ca where its authority is your own`;
  }
}
