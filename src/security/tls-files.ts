/** Certificates as people give them: files in PEM. */

/** What a server shows, and whom it lets in. The files are read again when they change. */
export interface ServerTlsFiles {
  /** The server's certificate, followed by intermediate ones. */
  readonly certFile: string;
  readonly keyFile: string;
  /** With it, clients must show a certificate that one of these authorities signed (mutual TLS). */
  readonly clientCaFile?: string | undefined;
}

/** Whom a client trusts, and what it shows. */
export interface ClientTlsFiles {
  /** Authorities that may have signed the server's certificate; default: those that Node trusts, and `NODE_EXTRA_CA_CERTS`. */
  readonly caFile?: string | undefined;
  /** With `keyFile`: shown to servers that ask for a certificate. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Name that the server's certificate must have; default: the host of its address. */
  readonly serverName?: string | undefined;
}

/** How a client proves who it is and knows whom it talks to. */
export interface ClientSecurity {
  /** Absent, and no `https://` before the address: clear text. To metadata servers TLS is spoken when it is there. */
  readonly tls?: ClientTlsFiles | undefined;
  /** File with the bearer token, read again when it changes; absent or missing: no token is sent. */
  readonly tokenFile?: string | undefined;
  /** How long a token is sent before its file is looked at again; default 60 000 ms. */
  readonly tokenTtlMs?: number | undefined;
}
