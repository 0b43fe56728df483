/** Mooncake processes with ports that are known beforehand, so that another one can take their place. */
import type { SessionTensor } from '#src/target/index.js';
import { eventually } from '../eventually.js';
import { twoFreePorts, tensorsOfPeer } from './faults.js';
import { MooncakePeer, pattern } from './peer.js';

/** One tensor in which a read has a middle, and small ones around it. */
const layout = (megabytes: number): readonly (readonly [name: string, bytes: number])[] => [
  ['small', 1],
  ['large', megabytes * 2 ** 20 + 1],
  ['odd', 77_777],
];

export interface Spawn {
  readonly version: string;
  /** Address that it is known by, and its transport's environment. */
  readonly host: string;
  readonly env: NodeJS.ProcessEnv;
  /** Of its largest tensor. */
  readonly megabytes: number;
  /** Names what its bytes follow from. */
  readonly filled: string;
}

export interface Started {
  readonly peer: MooncakePeer;
  readonly session: string;
  readonly tensors: readonly SessionTensor[];
  readonly expected: ReadonlyMap<string, Buffer>;
}

/** A process that has all but its ports; `up` takes the port and the one behind it, in whichever order. */
export async function prepare(
  { version, host, env, megabytes, filled }: Spawn,
  port: number,
): Promise<{ readonly peer: MooncakePeer; up(): Promise<Started> }> {
  const [first, last] = [String(port), String(port + 1)];
  // Releases before 0.3.11 know the misspelt names only.
  const ports = { MC_MIN_RPC_PORT: first, MC_MAX_RPC_PORT: last, MC_MIN_PRC_PORT: first, MC_MAX_PRC_PORT: last };
  const peer = MooncakePeer.start(version, { ...env, ...ports });
  const tensors = tensorsOfPeer(await peer.allocate(layout(megabytes), { filled }));
  const base = tensors.reduce((least, { address }) => (address < least ? address : least), 2n ** 64n);
  const all = pattern(filled, (megabytes + 1) * 2 ** 20);
  const slices = tensors.map(({ name, address, bytes }) => {
    const offset = Number(address - base);
    return [name, all.subarray(offset, offset + Number(bytes))] as const;
  });
  return {
    peer,
    up: async () => {
      const session = await peer.initialize(host);
      await peer.register();
      return { peer, session, tensors, expected: new Map(slices) };
    },
  };
}

/**
 * An engine takes ports of its range at random, and gives up after some tries: of two, it may miss the one that is free. Then
 * another engine is started, so many in all.
 */
const engines = 5;

const missed = (error: unknown): boolean => String(error).includes('initialize returned');

/** Up, wherever it likes. */
export async function start(spawn: Spawn): Promise<Started> {
  for (let left = engines; ; left -= 1) {
    try {
      return await (await prepare(spawn, await twoFreePorts())).up();
    } catch (error) {
      if (left === 1 || !missed(error)) throw error;
    }
  }
}

/**
 * Up at the place of one that was killed; tried until its two ports are in that order. Nobody may have asked the one before anything
 * within the last minute: the engine hangs up first, which keeps its port for so long, and does not listen on such a port.
 */
export async function replace(before: Started, spawn: Spawn): Promise<Started> {
  await before.peer.kill();
  const port = Number(before.session.split(':').at(-1));
  return eventually(`Mooncake ${spawn.version} at ${before.session}`, async () => {
    const coming = await prepare(spawn, port);
    const started = await coming.up().catch((error: unknown) => {
      if (missed(error)) return undefined;
      throw error;
    });
    if (started?.session === before.session) return started;
    await coming.peer.kill();
    return undefined;
  });
}
