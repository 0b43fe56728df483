/** A real Redis server for tests: Debian's, in a folder of its own, ended with the tests. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@redis/client';

const isInstalled = spawnSync('redis-server', ['--version']).status === 0;

/** Why tests of Redis are skipped; false where they run. With `CI=true` they run, and fail where there is no Redis. */
export const noRedis = isInstalled || process.env['CI'] === 'true' ? false : 'redis-server is not installed: apt-get install redis-server';

export interface RedisOptions {
  /** Keeps what was written over a restart. Default false. */
  readonly durable?: boolean;
  /** Password of the default user. */
  readonly password?: string;
  /** Speaks TLS only, with this certificate; clients of the test trust `ca`. All PEM. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
}

/** One server on loopback. Its port stays the same over restarts. */
export class TestRedis {
  readonly port: number;
  readonly #folder: string;
  readonly #options: RedisOptions;
  #process: ChildProcess | undefined;
  #output = '';

  private constructor(port: number, folder: string, options: RedisOptions) {
    this.port = port;
    this.#folder = folder;
    this.#options = options;
  }

  /** Resolves when it answers. The caller closes it. */
  static async start(options: RedisOptions = {}): Promise<TestRedis> {
    assert.ok(isInstalled, 'redis-server is not installed: apt-get install redis-server');
    const redis = new TestRedis(await freePort(), await mkdtemp(join(tmpdir(), 'weightcast-redis-')), options);
    await redis.start();
    return redis;
  }

  /** With the password, if there is one. */
  get url(): string {
    const { password, tls } = this.#options;
    return `${tls === undefined ? 'redis' : 'rediss'}://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${String(this.port)}`;
  }

  /** Starts the server again, with what it had kept. */
  async start(): Promise<void> {
    const { durable = false, password } = this.#options;
    const args = ['--bind', '127.0.0.1', '--dir', this.#folder, '--save', '', ...(await this.#portArguments())];
    args.push('--appendonly', durable ? 'yes' : 'no', ...(password === undefined ? [] : ['--requirepass', password]));
    const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = server;
    for (const stream of [server.stdout, server.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    for (let attempt = 0; ; attempt++) {
      assert.equal(server.exitCode, null, `redis-server ended: ${this.#output}`);
      if (await this.command('PING').catch(() => undefined)) return;
      assert.ok(attempt < 600, `redis-server does not answer: ${this.#output}`);
      await sleep(50);
    }
  }

  async #portArguments(): Promise<string[]> {
    const { tls } = this.#options;
    if (tls === undefined) return ['--port', String(this.port)];
    const file = async (name: string, text: string): Promise<string> => {
      const path = join(this.#folder, name);
      await writeFile(path, text);
      return path;
    };
    const files = ['--tls-cert-file', await file('cert.pem', tls.cert), '--tls-key-file', await file('key.pem', tls.key)];
    return ['--port', '0', '--tls-port', String(this.port), '--tls-auth-clients', 'no', ...files];
  }

  /** Runs one command on a connection of its own, as an administrator would; replies are text. */
  async command(...args: string[]): Promise<unknown> {
    const { tls } = this.#options;
    const socket = { reconnectStrategy: false as const, ...(tls && { tls: true as const, ca: tls.ca }) };
    const client = createClient({ url: this.url, RESP: 2, maintNotifications: 'disabled', socket });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await client.sendCommand(args);
    } finally {
      client.destroy();
    }
  }

  /** All fields of a hash, as text. */
  async hash(key: string): Promise<Record<string, string>> {
    const flat = (await this.command('HGETALL', key)) as string[];
    return Object.fromEntries(flat.flatMap((field, index) => (index % 2 === 0 ? [[field, flat[index + 1] ?? '']] : [])));
  }

  /** Stops answering, with connections left open, until `SIGCONT`. */
  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Ends the server; `start` begins again. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const server = this.#process;
    this.#process = undefined;
    if (server?.exitCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
