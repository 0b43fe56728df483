/** Who may call a server: what every way of finding out has in common, and the choice among them. */
import type { Logger } from '../observe/logger.js';
import { TokenList } from './token-list.js';
import { type TokenReviewOptions, TokenReviews } from './token-review.js';

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

/** `kubernetes` is what ModelExpress calls `enforce`. */
export type AuthenticationOptions =
  | { readonly mode: 'off' }
  | { readonly mode: 'token-file'; readonly file: string }
  | ({ readonly mode: 'kubernetes' } & TokenReviewOptions);

/**
 * @returns undefined with mode `off`. The caller closes what it gets.
 * @throws ERR_CONFIG that says what is missing or which line of the file is wrong.
 */
export async function openAuthenticator(options: AuthenticationOptions, logger: Logger): Promise<Authenticator | undefined> {
  switch (options.mode) {
    case 'off':
      return undefined;
    case 'token-file':
      return TokenList.open(options.file, logger);
    case 'kubernetes':
      return TokenReviews.open(options, logger);
  }
}
