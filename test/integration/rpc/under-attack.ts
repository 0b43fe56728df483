/** What a well-behaved client feels while another one attacks the same server. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Figures, ServerOptions } from './server-process.js';
import type { Cleanup } from './support.js';
import { type Side, WellBehaved } from './well-behaved.js';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export interface ServerProcess {
  readonly port: number;
  readonly child: ChildProcess;
  figures(): Promise<Figures>;
}

/** Where an attack takes place. */
export interface Arena extends Side {
  readonly server: ServerProcess;
  /** Another one like it, which is attacked for comparison. */
  readonly bystander: ServerProcess;
}

/**
 * Runs a command with only the processor time that nobody else wants: SCHED_IDLE, which gives way at once. Attackers have
 * processors of their own; here they must not take those of the server and of the client that is measured.
 */
const idly = ['chrt', '--idle', '0'] as const;

export async function startArena(test: Cleanup, side: Side): Promise<Arena> {
  const { secure } = side;
  const [server, bystander] = await Promise.all([startServer(test, { secure }), startServer(test, { secure }, idly)]);
  (await WellBehaved.connect(test, server.port, side, 100)).close();
  return { ...side, server, bystander };
}

async function startServer(test: Cleanup, options: ServerOptions, how: readonly string[] = []): Promise<ServerProcess> {
  const [execPath, ...execArgv] = [...how, process.execPath];
  const child = fork(path('./server-process.js'), [JSON.stringify(options)], { stdio: 'inherit', execPath, execArgv });
  test.after(() => child.kill('SIGKILL'));
  const [port] = (await once(child, 'message')) as [number];
  const figures = async (): Promise<Figures> => {
    const answer = once(child, 'message');
    child.send('figures');
    return ((await answer) as [Figures])[0];
  };
  return { port, child, figures };
}

/** Milliseconds. */
export interface Latency {
  /** Of each round. */
  readonly times: readonly number[];
  /** Of the heartbeat in each round, which is the smallest of all calls. */
  readonly heartbeats: readonly number[];
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly failed: string[];
}

/** The figures of these times, in any order. */
export function latency(times: readonly number[], heartbeats: readonly number[], failed: string[] = []): Latency {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { times, heartbeats, p50: at(0.5), p99: at(0.99), max: at(1), failed };
}

/** Rounds of the client, one every few milliseconds, until `stop` says so. */
async function measure(client: WellBehaved, stop: () => boolean): Promise<Latency> {
  const times: number[] = [];
  const heartbeats: number[] = [];
  const failed: string[] = [];
  while (!stop()) {
    const start = performance.now();
    try {
      heartbeats.push(await client.round());
      times.push(performance.now() - start);
    } catch (error) {
      failed.push(String(error));
    }
    await pause(2);
  }
  return latency(times, heartbeats, failed);
}

export interface Attacked {
  /** Nobody attacks anybody. */
  readonly quiet: Latency;
  /** The same attack on a server beside ours: what it takes of the computer that all share. */
  readonly control: Latency;
  readonly during: Latency;
  /** What the attacker did: connected, closed, failed, sent, answered, refused. */
  readonly attacker: Record<string, number>;
  readonly before: Figures;
  readonly after: Figures;
}

export interface Attack {
  /** What the attacker is told to do. */
  readonly kind: string;
  /** Of the attack, and of the quiet before it. */
  readonly seconds: number;
  /** Called before the attack and half-way through it. */
  readonly prepare?: (() => Promise<void>) | undefined;
  readonly midway?: (() => Promise<void>) | undefined;
}

/** Every attack comes from an address of its own: one that is shut out does not spare the server the next. */
let attackers = 1;

/** Measures a server while nothing happens, while the bystander is attacked, and while it is attacked itself. */
export async function underAttack(test: Cleanup, arena: Arena, attack: Attack): Promise<Attacked> {
  const { server, bystander, secure } = arena;
  const client = await WellBehaved.connect(test, server.port, arena);
  const end = performance.now() + attack.seconds * 1000;
  const quiet = await measure(client, () => performance.now() > end);
  const from = `127.0.0.${String((attackers += 1))}`;
  const against = async (port: number): Promise<Pick<Attacked, 'during' | 'attacker'>> => {
    await attack.prepare?.();
    return measureWhile(client, attack, [attack.kind, String(port), String(attack.seconds), from, secure ?? '']);
  };
  const { during: control } = await against(bystander.port);
  // What it has still to do is done when it answers.
  await bystander.figures();
  const before = await server.figures();
  const { during, attacker } = await against(server.port);
  const after = await server.figures();
  client.close();
  return { quiet, control, during, attacker, before, after };
}

/** From the moment when the attacker begins to its end. */
async function measureWhile(
  client: WellBehaved,
  { seconds, midway }: Attack,
  args: string[],
): Promise<Pick<Attacked, 'during' | 'attacker'>> {
  const [command, ...before] = [...idly, process.execPath];
  const attacker = spawn(command, [...before, path('./attacker.js'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(attacker, 'close');
  let gone = false;
  void closed.then(() => (gone = true));
  let output = '';
  attacker.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  await Promise.race([once(attacker.stdout, 'data'), closed]);
  const halfTime = pause(seconds * 500).then(midway);
  const during = await measure(client, () => gone);
  await Promise.all([closed, halfTime]);
  return { during, attacker: JSON.parse(output.trim().split('\n').at(-1) ?? '{}') as Record<string, number> };
}
