/** The question that an SGLang target asks a seed, over HTTP. */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { WeightcastError, throwIfAborted, toWeightcastError } from '../errors.js';
import type { Logger } from '../observe/logger.js';
import { ClientTls } from '../security/client-tls.js';
import type { ClientSecurity } from '../security/tls-files.js';
import { TokenFile } from '../security/token-file.js';
import { lookupPath, questionPaths } from './rank-desk.js';
import { errorText, parseTransferInfo, type TransferInfo } from './transfer-info.js';

export interface SglangClientOptions {
  readonly security: ClientSecurity | undefined;
  readonly logger: Logger;
  /** Longest silence of the server, default 10 000: it asks another process in turn, for which it takes 5 s at most. Milliseconds. */
  readonly silenceMs?: number;
  /** Longest time for one answer, default 60 000. Milliseconds. */
  readonly answerMs?: number;
}

interface Answer {
  readonly status: number;
  readonly location: string;
  readonly body: string;
}

/** Bytes of an answer: 256 MiB, some three million tensors. */
const maxAnswerBytes = 256 * 2 ** 20;

/** Servers of a time know one of them: the newer name first, then the older, then that of the bootstrap server itself. */
const paths = [questionPaths[1], questionPaths[0], lookupPath];

const start = 'start it with --remote-instance-weight-loader-start-seed-via-transfer-engine';

export class SglangClient {
  /** As it was given, without credentials; errors name it. */
  readonly url: string;
  readonly #base: URL;
  readonly #options: SglangClientOptions;
  readonly #tls: ClientTls | undefined;
  readonly #token: TokenFile | undefined;

  /** @throws ERR_INVALID_ARGUMENT for a URL that is none of `http:` or `https:`, ERR_TLS for files that cannot be used. */
  constructor(url: string, options: SglangClientOptions) {
    this.#base = baseOf(url);
    this.url = this.#base.href.replace(/\/$/, '');
    this.#options = options;
    const { tls = {}, tokenFile, tokenTtlMs: ttlMs } = options.security ?? {};
    if (this.#base.protocol === 'https:') this.#tls = new ClientTls(tls, this.#base.hostname.replace(/^\[(.*)\]$/, '$1'));
    if (tokenFile !== undefined) this.#token = new TokenFile(tokenFile, { ttlMs, logger: options.logger });
  }

  /**
   * Where the rank's weights are.
   * @throws ERR_RANK_NOT_FOUND when the server does not know the rank, or not yet; ERR_NO_SOURCE when it does not know the
   * question; ERR_SOURCE_GONE when it says that the rank cannot be read; ERR_SERVER_UNREACHABLE, ERR_UNAUTHENTICATED,
   * ERR_PERMISSION_DENIED, ERR_TLS, ERR_SERVER, ERR_PROTOCOL, ERR_ABORTED.
   */
  async transferInfo(rank: number, signal: AbortSignal | undefined): Promise<TransferInfo> {
    for (const path of paths) {
      const answer = await this.#ask(`${path}?rank=${rank}`, signal);
      const { status, body } = answer;
      if (status === 200) {
        const info = parseTransferInfo(body, rank, this.url);
        if (info !== undefined) return info;
        throw this.#error('ERR_RANK_NOT_FOUND', `has no weights of rank ${rank} to offer yet`);
      }
      const said = errorText(body);
      // A path that is not there, and a rank that is not: only the latter is told of.
      if (status === 404 && !/\brank\b/i.test(said)) continue;
      throw this.#refused(answer, said, rank);
    }
    throw this.#error(
      'ERR_NO_SOURCE',
      `answers neither ${paths.join(' nor ')}: it is no SGLang server that can be a seed, or an older one`,
    );
  }

  #refused({ status, location }: Answer, said: string, rank: number): WeightcastError {
    const words = `${String(status)}${said === '' ? '' : ` ${JSON.stringify(said)}`}`;
    if (status === 400 || status === 404) {
      return this.#error(
        'ERR_RANK_NOT_FOUND',
        `does not know rank ${rank} (${words}): it has fewer ranks, still loads, or is no seed; ${start}`,
      );
    }
    if (status === 401) return this.#error('ERR_UNAUTHENTICATED', `wants its API key (${words}): give it as tokenFile`);
    if (status === 403) return this.#error('ERR_PERMISSION_DENIED', `does not let us ask (${words})`);
    if (status === 503) return this.#error('ERR_SOURCE_GONE', `cannot be read from at rank ${rank} (${words})`);
    if (status >= 300 && status < 400) {
      const to = location === '' ? '' : ` to ${JSON.stringify(location.slice(0, 200))}`;
      return this.#error('ERR_SERVER', `redirects${to}, which is not followed: give the URL of the SGLang server itself`);
    }
    return this.#error('ERR_SERVER', `answers ${words}`);
  }

  async #ask(path: string, signal: AbortSignal | undefined): Promise<Answer> {
    throwIfAborted(signal, `asking ${this.url}`);
    const { silenceMs = 10_000, answerMs = 60_000 } = this.#options;
    const token = await this.#token?.get();
    const inTime = AbortSignal.timeout(answerMs);
    const options: RequestOptions = {
      headers: { accept: 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      agent: false,
      timeout: silenceMs,
      signal: signal === undefined ? inTime : AbortSignal.any([signal, inTime]),
    };
    try {
      return await this.#exchange(new URL(path.slice(1), this.#base), options);
    } catch (error) {
      if (error instanceof WeightcastError) throw error;
      if (signal?.aborted === true) throw toWeightcastError(error, { doing: `asking ${this.url}`, peer: this.url });
      const code = isTlsError(error) ? 'ERR_TLS' : 'ERR_SERVER_UNREACHABLE';
      const reason = inTime.aborted ? `no whole answer in ${answerMs} ms` : reasonOf(error);
      throw new WeightcastError(code, `cannot reach the SGLang server at ${this.url}: ${reason}`, { cause: error, peer: this.url });
    }
  }

  #exchange(url: URL, options: RequestOptions): Promise<Answer> {
    const tls = this.#tls;
    return new Promise((resolve, reject) => {
      const request = tls === undefined ? httpRequest(url, options) : httpsRequest(url, { ...options, agent: agentOf(tls) });
      request.on('error', reject);
      request.on('timeout', () => request.destroy(new Error(`silent for ${String(options.timeout)} ms`)));
      request.on('response', (response) => {
        this.#read(response).then(resolve, (error: unknown) => {
          request.destroy();
          reject(error instanceof Error ? error : new Error(String(error)));
        });
      });
      request.end();
    });
  }

  async #read(response: IncomingMessage): Promise<Answer> {
    const chunks: Buffer[] = [];
    let bytes = Number(response.headers['content-length'] ?? 0);
    if (bytes <= maxAnswerBytes) bytes = 0;
    else throw this.#tooLarge();
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxAnswerBytes) throw this.#tooLarge();
      chunks.push(chunk);
    }
    const { statusCode: status = 0, headers } = response;
    return { status, location: headers.location ?? '', body: this.#text(Buffer.concat(chunks), status === 200) };
  }

  #text(body: Buffer, fatal: boolean): string {
    try {
      return new TextDecoder('utf-8', { fatal }).decode(body);
    } catch (error) {
      throw this.#error('ERR_PROTOCOL', 'answers what is no UTF-8', error);
    }
  }

  #tooLarge(): WeightcastError {
    return this.#error('ERR_PROTOCOL', `answers with more than ${maxAnswerBytes} bytes`);
  }

  #error(code: WeightcastError['code'], what: string, cause?: unknown): WeightcastError {
    return new WeightcastError(code, `${this.url} ${what}`, { peer: this.url, ...(cause !== undefined && { cause }) });
  }
}

function baseOf(text: string): URL {
  if (!URL.canParse(text) || !/^https?:\/\//i.test(text)) {
    throw new WeightcastError(
      'ERR_INVALID_ARGUMENT',
      `Expected http://host:port of an SGLang server for sglang but received ${JSON.stringify(text)}`,
    );
  }
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new WeightcastError(
      'ERR_INVALID_ARGUMENT',
      `Expected no user, query or fragment in the URL of an SGLang server, but ${url.origin} was given with one; an API key is given as tokenFile`,
    );
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

function agentOf(tls: ClientTls): Agent {
  const { secureContext, servername } = tls.connectOptions;
  return new Agent({ secureContext, servername, checkServerIdentity: (_sent, certificate) => tls.checkName(certificate) });
}

/** Connecting to a name with several addresses fails with one error for each. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

function isTlsError(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException;
  return /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|EPROTO)/.test(code);
}
