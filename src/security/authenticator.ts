/** What every way of finding out who calls has in common. */

/** Who sent a token. */
export interface Principal {
  /** Never empty: what limits count by and logs name. It says nothing of the token. */
  readonly subject: string;
}

/**
 * What a token comes to.
 * - `accepted`: the call goes on in the name of the principal.
 * - `unauthenticated`: no such token, or not any more.
 * - `permission_denied`: the token is good, its owner is not let in; `message` says who that is.
 * - `unavailable`: it could not be found out; the same token may be accepted later.
 */
export type Verdict =
  | { readonly outcome: 'accepted'; readonly principal: Principal }
  | { readonly outcome: 'unauthenticated' }
  | { readonly outcome: 'permission_denied'; readonly message: string }
  | { readonly outcome: 'unavailable' };

export interface Authenticator {
  /** Never rejects. */
  authenticate(token: string): Promise<Verdict>;
  /** Frees files and connections. Idempotent. */
  close(): Promise<void>;
}
