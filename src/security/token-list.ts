/** Bearer tokens that are let in, from a file that may change at any time. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { WeightcastError } from '../errors.js';
import type { Logger } from '../observe/logger.js';
import type { Authenticator, Verdict } from './authenticator.js';
import { stampOf } from './file-stamp.js';

/** Shorter ones can be guessed. */
const shortest = 16;

/** Every call compares with all of them. */
const mostTokens = 1000;

interface Entry {
  readonly digest: Buffer;
  readonly verdict: Verdict;
  readonly line: number;
}

/**
 * The file has one token a line, `TOKEN [NAME]`; `#` begins a comment, at the start of a line or after white space. The
 * name is the principal's, `line N` where there is none; several tokens may have the same.
 */
export class TokenList implements Authenticator {
  readonly #file: string;
  readonly #logger: Logger;
  #entries: readonly Entry[];
  #stamp: string;

  private constructor(file: string, logger: Logger) {
    this.#file = file;
    this.#logger = logger;
    this.#stamp = stampOf(file);
    this.#entries = entriesOf(file);
    this.#warnOfReaders();
  }

  /** @throws ERR_CONFIG that names the file and the line: unreadable, no token in it, a token of less than 16 characters. */
  static open(file: string, logger: Logger): TokenList {
    return new TokenList(file, logger);
  }

  /** Looks at the file first, so that a token that was taken out of it is refused from the next call on. */
  authenticate(token: string): Promise<Verdict> {
    this.#refresh();
    const digest = sha256(token);
    let verdict: Verdict = { outcome: 'unauthenticated' };
    // To the end, whatever is found: the time must not tell which one it was.
    for (const entry of this.#entries) if (timingSafeEqual(entry.digest, digest)) verdict = entry.verdict;
    return Promise.resolve(verdict);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** A file that cannot be used, such as one that is half-written, changes nothing. */
  #refresh(): void {
    const stamp = stampOf(this.#file);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      this.#entries = entriesOf(this.#file);
      this.#logger.info('the token file has changed and is in use', { file: this.#file, tokens: this.#entries.length });
      this.#warnOfReaders();
    } catch (error) {
      this.#logger.error('the token file has changed and cannot be used; the tokens read before stay valid', { error });
    }
  }

  #warnOfReaders(): void {
    const mode = statSync(this.#file, { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & 0o004) === 0) return;
    this.#logger.warn('every user of this machine may read the token file; chmod o-r', {
      file: this.#file,
      mode: (mode & 0o777).toString(8),
    });
  }
}

function entriesOf(file: string): Entry[] {
  const entries: Entry[] = [];
  const wrong = (reason: string, cause?: unknown): WeightcastError =>
    new WeightcastError('ERR_CONFIG', `cannot use the token file ${file}: ${reason}`, { file, cause });
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error), error);
  }
  for (const [index, content] of text.split('\n').entries()) {
    const line = index + 1;
    const [token = '', ...name] = content
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/);
    if (token === '') continue;
    // The token itself must not get into a log.
    if (!/^[\x21-\x7e]+$/.test(token)) throw wrong(`the token in line ${String(line)} is not of printable ASCII characters`);
    if (token.length < shortest) {
      throw wrong(`the token in line ${String(line)} has ${String(token.length)} characters; at least ${String(shortest)} are needed`);
    }
    const digest = sha256(token);
    const twin = entries.find((entry) => entry.digest.equals(digest));
    if (twin !== undefined) throw wrong(`lines ${String(twin.line)} and ${String(line)} have the same token`);
    const subject = name.join(' ') || `line ${String(line)}`;
    entries.push({ digest, line, verdict: { outcome: 'accepted', principal: { subject } } });
  }
  if (entries.length === 0) throw wrong('there is no token in it');
  if (entries.length > mostTokens) throw wrong(`there are ${String(entries.length)} tokens in it; ${String(mostTokens)} are the most`);
  return entries;
}

function sha256(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
