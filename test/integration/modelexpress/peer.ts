/** The real ModelExpress client, a Python process that does what tests tell it (peer.py). */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const python = process.env['WEIGHTCAST_PYTHON'] ?? '';
// From build/test/integration/modelexpress, where this file is compiled to.
const script = fileURLToPath(new URL('../../../../test/integration/modelexpress/peer.py', import.meta.url));

/** Why there is no peer; `false` when there is one. */
export function whySkip(): string | false {
  if (python === '') return 'WEIGHTCAST_PYTHON does not name a Python with modelexpress 0.7.0';
  const { status, stderr } = spawnSync(python, ['-c', 'from importlib.metadata import version as v; assert v("modelexpress") == "0.7.0"'], {
    encoding: 'utf8',
  });
  return status === 0 ? false : `${python} has no modelexpress 0.7.0: ${stderr.trim().split('\n').at(-1) ?? ''}`;
}

/** What a call of the peer failed with: a gRPC status by its name, or an exception by its class. */
export class PeerError extends Error {
  constructor(
    readonly kind: string,
    readonly code: string | undefined,
    message: string,
  ) {
    super(message);
  }
}

type Answer =
  { readonly result: unknown } | { readonly error: { readonly kind: string; readonly code?: string; readonly message: string } };

/** Ended after the tests of the file. Messages are protobuf's JSON: camelCase, enums by name, 64-bit numbers as strings. */
export class Peer {
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  #stderr = '';

  private constructor(child: ChildProcess) {
    this.#process = child;
    assert.ok(child.stdout && child.stderr);
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
  }

  /** @param env for example `MX_AUTH_TOKEN_PATH`. */
  static start(env: NodeJS.ProcessEnv = {}): Peer {
    // A token file of this machine, or a proxy, is none of the test's business.
    const own = { MX_AUTH_TOKEN_PATH: '/nonexistent', no_proxy: '*', ...env };
    const peer = new Peer(spawn(python, [script], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...own } }));
    after(() => peer.#end());
    return peer;
  }

  /** What it logged so far. */
  get log(): string {
    return this.#stderr;
  }

  /** One method of peer.py's `Peer`. Calls must not overlap. Rejects with {@link PeerError}. */
  async call<Result = unknown>(name: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<Result> {
    this.#process.stdin?.write(`${JSON.stringify({ call: name, with: parameters })}\n`);
    const line = await this.#answers.next();
    assert.ok(line.done !== true, `the Python peer ended: ${this.#stderr}`);
    const answer = JSON.parse(line.value) as Answer;
    if ('error' in answer) throw new PeerError(answer.error.kind, answer.error.code, answer.error.message);
    return answer.result as Result;
  }

  /** Ends as an interpreter does that has nothing left to run: exit handlers run. */
  async exit(): Promise<void> {
    this.#process.stdin?.end();
    if (this.#process.exitCode === null) await once(this.#process, 'exit');
  }

  async #end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
  }
}

/** An instance as `list` answers it. */
export interface Instance {
  readonly mxSourceId: string;
  readonly workerId: string;
  readonly modelName: string;
  readonly workerRank?: number;
  readonly accelerator?: string;
  readonly updatedAt?: string;
  readonly topology?: Readonly<Record<string, string>>;
  readonly sourceLoad?: number;
  readonly trainingStep?: string;
  readonly layoutSignature?: string;
}
