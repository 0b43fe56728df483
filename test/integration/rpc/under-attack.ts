/** What a well-behaved client feels while another one attacks the same server. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'node:test';
import type { Client } from '@grpc/grpc-js';
import type { EndpointLimits } from '#src/rpc/endpoint-limits.js';
import type { Figures } from './server-process.js';
import { ask, bytesClient } from './support.js';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** What is needed of a test's context. */
export type Cleanup = Pick<TestContext, 'after'>;

export interface ServerProcess {
  readonly port: number;
  readonly child: ChildProcess;
  figures(): Promise<Figures>;
}

export async function startServerProcess(test: Cleanup, limits: Partial<EndpointLimits> = {}): Promise<ServerProcess> {
  const child = fork(path('./server-process.js'), [JSON.stringify(limits)], { stdio: 'inherit' });
  test.after(() => child.kill('SIGKILL'));
  const [port] = (await once(child, 'message')) as [number];
  const figures = async (): Promise<Figures> => {
    const answer = once(child, 'message');
    child.send('figures');
    return ((await answer) as [Figures])[0];
  };
  return { port, child, figures };
}

export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly failed: string[];
}

/** Small calls, one every few milliseconds, until `stop` says so. Milliseconds. */
export async function measure(client: Client, stop: () => boolean): Promise<Latency> {
  const times: number[] = [];
  const failed: string[] = [];
  while (!stop()) {
    const start = performance.now();
    try {
      await ask(client, 'Echo', 'well-behaved');
      times.push(performance.now() - start);
    } catch (error) {
      failed.push(String(error));
    }
    await pause(3);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
  return { count: times.length, p50: at(0.5), p99: at(0.99), max: at(1), failed };
}

export interface Attacked {
  readonly quiet: Latency;
  readonly during: Latency;
  /** What the attacker did: connected, closed, failed, sent, answered, refused. */
  readonly attacker: Record<string, number>;
  readonly before: Figures;
  readonly after: Figures;
}

/** Every attack comes from an address of its own: one that is shut out does not spare the server the next. */
let attackers = 1;

/** Quiet for a while, then under attack. The attacker runs at the lowest priority: the server is tested, not the scheduler. */
export async function underAttack(test: Cleanup, server: ServerProcess, kind: string, seconds: number): Promise<Attacked> {
  const client = bytesClient(test, `127.0.0.1:${String(server.port)}`);
  for (let i = 0; i < 50; i += 1) await ask(client, 'Echo', 'warm');
  const end = performance.now() + 500;
  const quiet = await measure(client, () => performance.now() > end);
  const before = await server.figures();
  const from = `127.0.0.${String((attackers += 1))}`;
  const command = [process.execPath, path('./attacker.js'), kind, String(server.port), String(seconds), from];
  const attacker = spawn('nice', ['-n', '19', ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  attacker.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  let gone = false;
  const closed = once(attacker, 'close').then(() => (gone = true));
  const during = await measure(client, () => gone);
  await closed;
  const after = await server.figures();
  client.close();
  return { quiet, during, attacker: JSON.parse(output.trim().split('\n').at(-1) ?? '{}') as Record<string, number>, before, after };
}
