/** Pulls from peers with faults: where their tensors are, what must arrive, and how pulls end. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { connect, createServer as createListener, type AddressInfo } from 'node:net';
import { createServer } from 'node:http';
import { after } from 'node:test';
import { WeightcastError, type ErrorCode } from '#src/errors.js';
import { pull, type PullProgress, type PullResult, type PullSettings, type SessionTensor } from '#src/target/index.js';
import { pattern } from '../cluster.js';
import type { Placed as PlacedByPeer } from './peer.js';
import { place } from './simulated/memory.js';
import { p1, p3 } from './simulated/profiles.js';

const host = '127.0.0.1';

/** Of pulls, where a test does not say otherwise. */
const local = { host, transport: 'tcp' } as const;

/** Reads that are small and one after the other, so that there is a middle; each takes the oldest release a connection. */
export function slowlyFrom(version: string): Pick<PullSettings, 'connections' | 'sliceBytes'> {
  return { connections: 1, sliceBytes: version === '0.3.9' ? 4096 : 1024 };
}

/** Both versions of the TCP service; a read that is refused is a closed connection in the first, a status in the second. */
export const tcpVersions = [p1, p3] as const;

/** Two registered buffers. The same `seed` gives the same bytes, any seed the same addresses. */
export function weightsOf(seed: number): ReturnType<typeof place> {
  const sizes = [[70_001, 3, 65_536], [200_003]];
  return place(sizes.map((list, buffer) => list.map((bytes, index) => [`t${buffer}.${index}`, pattern(bytes, seed + bytes)] as const)));
}

export type Weights = ReturnType<typeof weightsOf>;

export function tensorsOf({ tensors }: Weights): SessionTensor[] {
  return Object.entries(tensors).map(([name, { address, bytes }]) => ({ name, address: BigInt(address), bytes: BigInt(bytes.length) }));
}

export function tensorsOfPeer(placed: PlacedByPeer): SessionTensor[] {
  return Object.entries(placed).map(([name, [address, bytes]]) => ({ name, address: BigInt(address), bytes: BigInt(bytes) }));
}

export function bytesOf({ tensors }: Weights): ReadonlyMap<string, Buffer> {
  return new Map(Object.entries(tensors).map(([name, { bytes }]) => [name, bytes]));
}

/** An SGLang server; `answer` says at which session and where the tensors are now. */
export async function sglangAt(answer: () => Promise<SglangAnswer> | SglangAnswer): Promise<string> {
  const server = createServer((_request, response) => {
    void (async () => {
      const { session, tensors } = await answer();
      const members = tensors.map(({ name, address, bytes }) => `${JSON.stringify(name)}:[${String(address)},${String(bytes)},1]`);
      response.end(`{"rank":0,"remote_instance_transfer_engine_info":["${session}",{${members.join()}}]}`);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://${host}:${String((server.address() as AddressInfo).port)}`;
}

export interface SglangAnswer {
  readonly session: string;
  readonly tensors: readonly SessionTensor[];
}

type Origin = { readonly session: { readonly id: string; readonly tensors: readonly SessionTensor[] } } | { readonly sglang: string };
type Settings = Partial<PullSettings> & {
  /** Called once, in the middle of the read. */
  readonly midRead?: (progress: PullProgress) => void;
};

/** Pulls into memory; `undefined` bytes of a pull that failed are never looked at. */
export async function pullFrom(origin: Origin, { midRead, ...settings }: Settings = {}): Promise<PullResult> {
  const running = pull({ ...local, ...settings, ...origin, into: { kind: 'memory' } });
  if (midRead === undefined) return running;
  let struck = false;
  try {
    for await (const progress of running) {
      if (struck || progress.phase !== 'wire' || progress.bytes === 0n || progress.bytes >= progress.totalBytes) continue;
      struck = true;
      midRead(progress);
    }
  } finally {
    assert.ok(struck, 'there was no middle to strike in');
  }
  return running;
}

/** Every byte of the result, and nothing else. Gives the memory back. */
export function assertArrived({ output }: PullResult, expected: ReadonlyMap<string, Uint8Array>): void {
  assert.ok(output.kind === 'memory');
  using region = output.region;
  assert.deepEqual(new Set(output.tensors.map(({ name }) => name)), new Set(expected.keys()));
  for (const { name, offset, bytes } of output.tensors) {
    assert.ok(Buffer.from(expected.get(name) ?? []).equals(region.view(offset, Number(bytes))), `${name} differs`);
  }
}

/** The failure of a pull, which must be of this code. */
export async function failure(running: PromiseLike<unknown>, ...codes: readonly ErrorCode[]): Promise<WeightcastError> {
  const ended = await running.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(ended instanceof WeightcastError, `expected ${codes.join(' or ')} but received ${String(ended)}`);
  assert.ok(codes.includes(ended.code), `expected ${codes.join(' or ')} but received ${ended.code}: ${ended.message}`);
  return ended;
}

/** Stops a process, and waits until none of its threads runs any more. */
export async function stop({ pid = 0 }: ChildProcess): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  for (;;) {
    const tasks = await readdir(`/proc/${pid}/task`);
    const states = await Promise.all(tasks.map((task) => readFile(`/proc/${pid}/task/${task}/stat`, 'utf8')));
    // "pid (name) state …"
    if (states.every((text) => text.slice(text.lastIndexOf(')') + 2).startsWith('T'))) return;
  }
}

/** How long something took, ms, and what came of it. */
export async function timed<T>(work: PromiseLike<T>): Promise<{ readonly value: T; readonly ms: number }> {
  const began = performance.now();
  const value = await work;
  return { value, ms: performance.now() - began };
}

/** A port where nobody listens, and the one behind it; outside of the range from which others take theirs by chance. */
export async function twoFreePorts(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if ((await isFree(port)) && (await isFree(port + 1))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const listener = createListener()
      .once('error', () => resolve(false))
      .listen(port, () => listener.close(() => resolve(true)));
  });
}

/** What a stranger gets who asks for a read over TCP, as bytes arrive; `pause` leaves them where they are. */
export function rawReader(port: number, request: { readonly address: bigint; readonly bytes: bigint }): ReturnType<typeof connect> {
  const socket = connect({ host, port, allowHalfOpen: true });
  socket.on('error', () => undefined);
  const header = Buffer.alloc(24);
  header.writeBigUInt64LE(request.bytes, 0);
  header.writeBigUInt64LE(request.address, 8);
  socket.write(header);
  return socket;
}
