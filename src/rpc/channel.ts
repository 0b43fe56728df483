/** The gRPC channel of a client, made anew when its certificates have changed. */
import { type ChannelCredentials, Client, credentials } from '@grpc/grpc-js';
import type { ClientTls } from '../security/client-tls.js';
import { type Address, formatAddress } from './address.js';
import { channelOptions } from './limits.js';

/** Connects at the first call. */
export class Channel {
  readonly #address: Address;
  readonly #tls: ClientTls | undefined;
  #current: Link;

  /** @param tls undefined: clear text. */
  constructor(address: Address, tls: ClientTls | undefined) {
    this.#address = address;
    this.#tls = tls;
    this.#current = this.#link(tls?.credentials ?? credentials.createInsecure());
  }

  /** The client for one call, which must be given back with {@link Lease.release} when the call has ended. */
  lease(): Lease {
    const fresh = this.#tls?.credentials;
    if (fresh !== undefined && fresh !== this.#current.credentials) {
      retire(this.#current);
      this.#current = this.#link(fresh);
    }
    const link = this.#current;
    link.calls++;
    return {
      client: link.client,
      release: () => {
        link.calls--;
        if (link.retired && link.calls === 0) link.client.close();
      },
    };
  }

  /** Calls under way are not waited for. Idempotent. */
  close(): void {
    this.#current.client.close();
  }

  #link(by: ChannelCredentials): Link {
    const options = { ...channelOptions, ...this.#tls?.channelOptions };
    return { credentials: by, client: new Client(`dns:${formatAddress(this.#address)}`, by, options), calls: 0, retired: false };
  }
}

export interface Lease {
  readonly client: Client;
  readonly release: () => void;
}

interface Link {
  readonly credentials: ChannelCredentials;
  readonly client: Client;
  calls: number;
  retired: boolean;
}

/** A call that still waits for its connection would be lost if the channel were closed under it. */
function retire(link: Link): void {
  link.retired = true;
  if (link.calls === 0) link.client.close();
}
