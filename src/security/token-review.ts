/** Kubernetes service account tokens, reviewed by the cluster's own API. */
import { createHash } from 'node:crypto';
import { WeightcastError } from '../errors.js';
import type { Logger } from '../observe/logger.js';
import { QuietLogger } from '../observe/quiet-logger.js';
import type { Authenticator, Verdict } from './authenticator.js';
import { ExpiringMap } from './token-review-cache.js';
import { type KubernetesApiOptions, TokenReviewApi } from './token-review-api.js';

export interface TokenReviewOptions {
  /** A token must be meant for one of these. At least one. */
  readonly audiences: readonly string[];
  /** Who is let in, `namespace:name`. At least one. */
  readonly serviceAccounts: readonly string[];
  /** How long the review of a token holds, in milliseconds; default 60 000. */
  readonly cacheTtlMs?: number | undefined;
  /** Where the API is; default: that of the cluster whose pod this process runs in. */
  readonly api?: KubernetesApiOptions | undefined;
  /** Milliseconds of a clock that never goes back; for tests. */
  readonly now?: () => number;
}

/** Of the accepted tokens, and again of the rejected ones. */
const cachedTokens = 10_000;

/** Reviews under way at the same time; beyond it the answer is "unavailable". It takes a flood of unknown tokens to get there. */
const mostPending = 1000;

export class TokenReviews implements Authenticator {
  readonly #api: TokenReviewApi;
  readonly #log: QuietLogger;
  readonly #audiences: readonly string[];
  readonly #allowed: ReadonlySet<string>;
  /** `namespace:name` by the token's hash: tokens themselves are not kept. */
  readonly #accepted: ExpiringMap<string>;
  readonly #rejected: ExpiringMap<true>;
  readonly #pending = new Map<string, Promise<Verdict>>();

  private constructor(options: TokenReviewOptions, api: TokenReviewApi, logger: Logger) {
    this.#api = api;
    this.#log = new QuietLogger(logger);
    this.#audiences = options.audiences;
    this.#allowed = new Set(options.serviceAccounts);
    const cache = { capacity: cachedTokens, ttlMs: options.cacheTtlMs ?? 60_000, now: options.now };
    this.#accepted = new ExpiringMap(cache);
    this.#rejected = new ExpiringMap(cache);
  }

  /**
   * The API itself is not asked: its being away now must not keep the server from starting.
   *
   * @throws ERR_CONFIG without an audience or a service account, for a service account that is not `namespace:name`, and
   * where the address of the API, its certificate authority or the pod's own token cannot be found.
   */
  static async open(options: TokenReviewOptions, logger: Logger): Promise<TokenReviews> {
    if (options.audiences.length === 0 || options.audiences.includes('')) {
      throw wrong('at least one token audience is needed, and none may be empty');
    }
    if (options.serviceAccounts.length === 0) throw wrong('at least one allowed service account is needed, or nobody could call');
    const bad = options.serviceAccounts.find((account) => !/^[^\s:]+:[^\s:]+$/.test(account));
    if (bad !== undefined) throw wrong(`Expected a service account as namespace:name but received '${bad}'`);
    return new TokenReviews(options, await TokenReviewApi.open(options.api ?? {}, logger), logger);
  }

  authenticate(token: string): Promise<Verdict> {
    const key = createHash('sha256').update(token).digest('base64');
    const account = this.#accepted.get(key);
    if (account !== undefined) return Promise.resolve(this.#admit(account));
    if (this.#rejected.get(key) === true) return Promise.resolve({ outcome: 'unauthenticated' });
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    if (this.#pending.size >= mostPending) {
      this.#log.warn('pending', 'a token is not reviewed: too many reviews are under way', { reviews: mostPending });
      return Promise.resolve({ outcome: 'unavailable' });
    }
    const review = this.#review(key, token).finally(() => this.#pending.delete(key));
    this.#pending.set(key, review);
    return review;
  }

  close(): Promise<void> {
    this.#api.close();
    return Promise.resolve();
  }

  async #review(key: string, token: string): Promise<Verdict> {
    try {
      const { authenticated, username, audiences } = await this.#api.review(token, this.#audiences);
      const account = /^system:serviceaccount:([^:]+:[^:]+)$/.exec(username)?.[1];
      const meantForUs = audiences.some((audience) => this.#audiences.includes(audience));
      if (authenticated && meantForUs && account !== undefined) {
        this.#accepted.set(key, account);
        return this.#admit(account);
      }
      this.#rejected.set(key, true);
      return { outcome: 'unauthenticated' };
    } catch (error) {
      this.#log.warn('api', 'tokens cannot be reviewed: the Kubernetes API fails', { error });
      return { outcome: 'unavailable' };
    }
  }

  #admit(account: string): Verdict {
    if (this.#allowed.has(account)) return { outcome: 'accepted', principal: { subject: account } };
    return { outcome: 'permission_denied', message: `service account ${account} is not in the allowlist` };
  }
}

function wrong(text: string): WeightcastError {
  return new WeightcastError('ERR_CONFIG', `cannot authenticate by Kubernetes: ${text}`);
}
