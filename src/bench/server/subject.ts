/** The server that is measured. */
import type { ClientSecurity } from '../../security/tls-files.js';
import type { UsageSource } from './usage.js';

export interface Subject extends AsyncDisposable {
  /** `host:port`, or with `https://`. */
  readonly address: string;
  readonly security: ClientSecurity;
  /** True: started for the benchmark, alone, without limits. */
  readonly own: boolean;
  /** `unknown` of a server that was there before. */
  readonly store: string;
  /** `undefined`: nobody says. */
  readonly usage: UsageSource | undefined;
}

/** A server that runs without us, and goes on without us. */
export function foreignSubject(address: string, security: ClientSecurity, usage: UsageSource | undefined): Subject {
  return { address, security, own: false, store: 'unknown', usage, [Symbol.asyncDispose]: () => Promise.resolve() };
}
