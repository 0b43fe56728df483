/** The real Mooncake TransferEngine, a Python process that does what tests tell it (peer.py), of a release that they choose. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

// From build/test/support/mooncake, where this file is compiled to.
const root = new URL('../../../../', import.meta.url);
const script = fileURLToPath(new URL('test/support/mooncake/peer.py', root));
const python = process.env['WEIGHTCAST_PYTHON'] ?? '';

/** Releases that are tested, newest first. */
export const versions: readonly string[] = readFileSync(new URL('scripts/testing/mooncake-versions.txt', root), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));

/** These move everything twenty times in one process: the newest, the first with GIDs in the handshake, and the oldest. */
export const thoroughly: readonly string[] = versions.filter(
  (version, index) => index === 0 || ['0.3.11.post1', '0.3.9'].includes(version),
);

/** Where a release is installed. */
export function folderOf(version: string): string {
  return fileURLToPath(new URL(`build/mooncake/${version}`, root));
}

/** Why a release cannot be run; `false` when it can. */
export function whySkip(version: string): string | false {
  if (python === '') return 'WEIGHTCAST_PYTHON does not name a Python';
  return existsSync(folderOf(version)) ? false : `Mooncake ${version} is not installed (scripts/setup test)`;
}

/** A tensor's address, a decimal string, and its bytes. */
export type Placed = Readonly<Record<string, readonly [address: string, bytes: number]>>;

export interface ReadReport {
  /** 0: every byte arrived. */
  readonly result: number;
  readonly seconds: number;
  /** Of the whole process, while it read. */
  readonly cpuSeconds: number;
  readonly bytes: number;
}

export interface Usage {
  readonly threads: number;
  readonly files: number;
  readonly rssKiB: number;
  readonly cpuSeconds: number;
}

/** The first `bytes` of what follows from a name: SHAKE128, in both languages. */
export function pattern(name: string, bytes: number): Buffer {
  return createHash('shake128', { outputLength: bytes }).update(name).digest();
}

/** Killed after the tests of the file. Calls must not overlap. */
export class MooncakePeer {
  readonly process: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  #stderr = '';

  private constructor(
    readonly version: string,
    child: ChildProcess,
  ) {
    this.process = child;
    assert.ok(child.stdout && child.stderr);
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
  }

  /**
   * @param env `MC_FORCE_TCP`, `MC_GID_INDEX`, …; others of that kind are not inherited.
   * @param program another one than peer.py that takes commands as it does.
   */
  static start(version: string, env: NodeJS.ProcessEnv, program = script): MooncakePeer {
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MC_')));
    const child = spawn(python, [program], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...inherited, PYTHONPATH: folderOf(version), PYTHONDONTWRITEBYTECODE: '1', GLOG_minloglevel: '1', ...env },
    });
    const peer = new MooncakePeer(version, child);
    after(() => peer.kill());
    return peer;
  }

  /** What the engine logged so far. */
  get log(): string {
    return this.#stderr;
  }

  /** Its session id, `host:port`. */
  initialize(host: string, options: { readonly protocol?: string; readonly device?: string } = {}): Promise<string> {
    return this.call('initialize', { host, ...options });
  }

  /** Memory for these tensors, in one mapping; `filled` names what its bytes follow from, from the first tensor's on. */
  allocate(
    tensors: readonly (readonly [name: string, bytes: number])[],
    options: { readonly align?: number; readonly filled?: string } = {},
  ): Promise<Placed> {
    return this.call('allocate', { tensors, ...options });
  }

  /** How many regions it registered. */
  register(options: { readonly merged?: boolean } = {}): Promise<number> {
    return this.call('register', options);
  }

  /** Reads each tensor into the own one of the same name, in one `batch_transfer_sync_read`. */
  read(session: string, addresses: Readonly<Record<string, string>>): Promise<ReadReport> {
    return this.call('read', { session, addresses });
  }

  clear(): Promise<void> {
    return this.call('clear');
  }

  /** Of tensors, by their offset in what follows from `filled`: those whose bytes are others. */
  differing(sources: Readonly<Record<string, number>>, filled: string): Promise<readonly string[]> {
    return this.call('differing', { sources, filled });
  }

  usage(): Promise<Usage> {
    return this.call('usage');
  }

  /** Any method of peer.py's `Peer`. */
  async call<Result>(name: string, parameters: object = {}): Promise<Result> {
    this.process.stdin?.write(`${JSON.stringify({ call: name, with: parameters })}\n`);
    const line = await this.#answers.next();
    assert.ok(line.done !== true, `Mooncake ${this.version} ended during ${name}: ${this.#stderr.slice(-4000)}`);
    const answer = JSON.parse(line.value) as { readonly result: Result } | { readonly error: string };
    if ('error' in answer) throw new Error(`Mooncake ${this.version}, ${name}: ${answer.error}\n${this.#stderr.slice(-4000)}`);
    return answer.result;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill(signal);
    await once(this.process, 'exit');
  }
}
