/**
 * A stand-in for the API of a Kubernetes cluster: HTTPS, and the one call that authentication makes. It answers as
 * kube-apiserver does to a TokenReview; there is no cluster here to ask.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { folder } from '../rpc/support.js';
import { TestAuthority } from './support.js';

/** A request as it came in. */
export interface ReviewRequest {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly authorization: string | undefined;
  readonly body: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly spec: { readonly token: string; readonly audiences: string[] };
  };
}

/** Takes the place of the answer. */
export type Misbehave = (response: ServerResponse, request: ReviewRequest) => void;

export class KubernetesStandIn {
  readonly requests: ReviewRequest[] = [];
  /** Service accounts, `namespace:name`, by token, and the audiences their tokens are meant for. */
  readonly tokens = new Map<string, { readonly username: string; readonly audiences: readonly string[] }>();
  misbehave: Misbehave | undefined;
  /** What clients need to find it: the files that a pod has. */
  readonly api: { readonly host: string; readonly port: number; readonly caFile: string; readonly tokenFile: string };

  private constructor(api: KubernetesStandIn['api']) {
    this.api = api;
  }

  /** Closed with the test. */
  static async start(test: TestContext): Promise<KubernetesStandIn> {
    const authority = await TestAuthority.make(test, 'Cluster Authority');
    const { certFile, keyFile } = await authority.issue('kubernetes', { names: ['kubernetes.default.svc', '127.0.0.1'] });
    const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    test.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const tokenFile = join(await folder(test), 'token');
    await writeFile(tokenFile, 'the-pods-own-token\n');
    const { port } = server.address() as AddressInfo;
    const standIn = new KubernetesStandIn({ host: '127.0.0.1', port, caFile: authority.caFile, tokenFile });
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void standIn.#answer(request, response));
    return standIn;
  }

  /** Makes a token of a service account. */
  issue(token: string, account: string, audiences: readonly string[] = ['modelexpress']): string {
    this.tokens.set(token, { username: `system:serviceaccount:${account}`, audiences });
    return token;
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as ReviewRequest['body'];
    const { method, url, headers } = incoming;
    const request = { method, url, authorization: headers.authorization, body };
    this.requests.push(request);
    if (this.misbehave !== undefined) this.misbehave(response, request);
    else answerJson(response, 201, { apiVersion: body.apiVersion, kind: body.kind, spec: body.spec, status: this.#review(body.spec) });
  }

  #review(spec: { readonly token: string; readonly audiences: readonly string[] }): object {
    const known = this.tokens.get(spec.token);
    const audiences = known?.audiences.filter((audience) => spec.audiences.includes(audience)) ?? [];
    if (known === undefined || audiences.length === 0) {
      return { user: {}, error: '[invalid bearer token, token audiences are not among those asked for]' };
    }
    return { authenticated: true, user: { username: known.username, uid: '1', groups: ['system:serviceaccounts'] }, audiences };
  }
}

export function answerJson(response: ServerResponse, statusCode: number, body: object): void {
  response.writeHead(statusCode, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
