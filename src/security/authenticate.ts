/** The choice among the ways of finding out who calls. */
import type { Logger } from '../observe/logger.js';
import type { Authenticator } from './authenticator.js';
import { TokenList } from './token-list.js';
import { type TokenReviewOptions, TokenReviews } from './token-review.js';

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
