/** The one call to the Kubernetes API that is needed: authentication.k8s.io/v1 TokenReview. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import * as v from 'valibot';
import { toWeightcastError, WeightcastError } from '../errors.js';
import type { Logger } from '../observe/logger.js';
import { stampOf } from './file-stamp.js';
import { TokenFile } from './token-file.js';

/** Where the API is and how this process proves itself to it. Defaults are those of every pod. */
export interface KubernetesApiOptions {
  /** Default: KUBERNETES_SERVICE_HOST. */
  readonly host?: string | undefined;
  /** Default: KUBERNETES_SERVICE_PORT. */
  readonly port?: number | undefined;
  /** Default /var/run/secrets/kubernetes.io/serviceaccount/ca.crt; read again when it changes. */
  readonly caFile?: string | undefined;
  /** The token that reviews are asked for with; default /var/run/secrets/kubernetes.io/serviceaccount/token. */
  readonly tokenFile?: string | undefined;
  /** Time limit of one review, in milliseconds; default 10 000. */
  readonly timeoutMs?: number | undefined;
  /** Default: that of the process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** What the API says of a token. Of one that it does not know everything is empty. */
export interface TokenReview {
  readonly authenticated: boolean;
  readonly username: string;
  readonly audiences: readonly string[];
}

const folder = '/var/run/secrets/kubernetes.io/serviceaccount';
const path = '/apis/authentication.k8s.io/v1/tokenreviews';
const mostBytes = 1024 * 1024;

/** Connections to the API. Reviews beyond wait for one. */
const connections = 16;

const answerSchema = v.object({
  status: v.object({
    authenticated: v.optional(v.boolean(), false),
    user: v.optional(v.object({ username: v.optional(v.string(), '') }), {}),
    audiences: v.optional(v.array(v.string()), []),
  }),
});

export class TokenReviewApi {
  readonly #address: { readonly host: string; readonly port: number };
  readonly #caFile: string;
  readonly #token: TokenFile;
  readonly #timeoutMs: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: connections });
  #ca: { readonly stamp: string; readonly pem: Buffer };

  private constructor(address: { host: string; port: number }, caFile: string, token: TokenFile, timeoutMs: number) {
    this.#address = address;
    this.#caFile = caFile;
    this.#token = token;
    this.#timeoutMs = timeoutMs;
    this.#ca = { stamp: stampOf(caFile), pem: readFileSync(caFile) };
  }

  /** @throws ERR_CONFIG when the address, the authority or the token is not there: the process runs outside of a cluster. */
  static async open(options: KubernetesApiOptions, logger: Logger): Promise<TokenReviewApi> {
    const env = options.env ?? process.env;
    const host = options.host ?? env['KUBERNETES_SERVICE_HOST'] ?? '';
    const port = options.port ?? Number(env['KUBERNETES_SERVICE_PORT']);
    if (host === '' || !(port > 0 && port < 65_536)) {
      throw outside('KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not name the API; they are set in every pod');
    }
    const token = new TokenFile(options.tokenFile ?? `${folder}/token`, { logger });
    if ((await token.get()) === undefined) throw outside(`${token.path} holds no token; is the service account mounted into the pod?`);
    const caFile = options.caFile ?? `${folder}/ca.crt`;
    try {
      return new TokenReviewApi({ host, port }, caFile, token, options.timeoutMs ?? 10_000);
    } catch (error) {
      throw outside(`the authority of the API cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
    }
  }

  /** Rejects with an error of ours when the API cannot be reached in time, refuses, or answers with something else. */
  async review(token: string, audiences: readonly string[]): Promise<TokenReview> {
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } };
    const { statusCode, body } = await this.#post(JSON.stringify(review));
    if (statusCode < 200 || statusCode > 299) {
      throw new WeightcastError('ERR_SERVER', `the Kubernetes API answered ${String(statusCode)} to a TokenReview: ${messageIn(body)}`);
    }
    const answer = v.safeParse(answerSchema, parsed(body));
    if (!answer.success) throw new WeightcastError('ERR_PROTOCOL', 'the Kubernetes API answered a TokenReview with something else');
    const { authenticated, user, audiences: found } = answer.output.status;
    return { authenticated, username: user.username, audiences: found };
  }

  /** Ends reviews under way. */
  close(): void {
    this.#agent.destroy();
  }

  async #post(body: string): Promise<{ statusCode: number; body: string }> {
    const own = await this.#token.get();
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      accept: 'application/json',
      ...(own !== undefined && { authorization: `Bearer ${own}` }),
    };
    const signal = AbortSignal.timeout(this.#timeoutMs);
    return new Promise((done, failed) => {
      const fail = (error: unknown): void => {
        const { host, port } = this.#address;
        const late = `no answer of the Kubernetes API at ${host}:${String(port)} within ${String(this.#timeoutMs)} ms`;
        failed(
          signal.aborted
            ? new WeightcastError('ERR_SERVER_UNREACHABLE', late, { cause: error })
            : toWeightcastError(error, { doing: 'cannot ask the Kubernetes API', peer: `${host}:${String(port)}` }),
        );
      };
      const call = request({ ...this.#address, path, method: 'POST', headers, ca: this.#authority(), agent: this.#agent, signal });
      call.once('error', fail);
      call.once('response', (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes > mostBytes) response.destroy(new Error(`an answer of more than ${String(mostBytes)} bytes`));
        });
        response.once('error', fail);
        response.once('end', () => {
          done({ statusCode: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
        });
      });
      call.end(body);
    });
  }

  /** Kubernetes replaces its authority rarely, but while programs run. */
  #authority(): Buffer {
    const stamp = stampOf(this.#caFile);
    if (stamp === this.#ca.stamp) return this.#ca.pem;
    try {
      this.#ca = { stamp, pem: readFileSync(this.#caFile) };
    } catch {
      // What was read before may still do; if not, the connection says so.
    }
    return this.#ca.pem;
  }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return undefined;
  }
}

/** The API explains refusals in a Status object. */
function messageIn(body: string): string {
  const status = v.safeParse(v.object({ message: v.string() }), parsed(body));
  return status.success ? status.output.message : body.slice(0, 200);
}

function outside(text: string, cause?: unknown): WeightcastError {
  return new WeightcastError('ERR_CONFIG', `cannot authenticate by Kubernetes: ${text}`, { cause });
}
