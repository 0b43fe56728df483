/**
 * Memory and threads near the NICs, on the two emulated nodes of the machine: processor 0 and half of the memory are on node 0. On which
 * node a Soft-RoCE device is the kernel does not say; a double of its file systems does: the machine's own nodes, rxe0 on node 0, rxe1 on 1.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Region } from '#src/region.js';
import { seedTensors } from '#src/seed/index.js';
import { pull, type PullOptions, type PullResult } from '#src/target/index.js';
import { pattern, startServer } from '../../support/cluster.js';

const bytes = 64 << 20;
const root = await mkdtemp('/tmp/weightcast-numa-');
await mkdir(join(root, 'sys/class/infiniband'), { recursive: true });
await symlink('/sys/devices', join(root, 'sys/devices'));
for (const [node, device] of ['rxe0', 'rxe1'].entries()) {
  const directory = join(root, 'sys/class/infiniband', device, 'device');
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'numa_node'), `${String(node)}\n`);
}
process.env['WEIGHTCAST_STANDIN_ROOT'] = root;

const server = await startServer();
const shared = { identity: { modelName: 'two-nodes' }, server: server.address, host: '127.0.0.1', transport: 'rdma' } as const;
const data = pattern(bytes, 31);
const seed = await seedTensors([{ name: 'weights', dtype: 'U8', data }], shared);
after(() => seed.close());

/** What a pull says, and on which processors its threads were seen. */
interface Watched {
  readonly result: PullResult;
  readonly threads: ReadonlyMap<string, ReadonlySet<string>>;
}

/** In small reads, one after the other, so that the threads are there to be seen. */
const slowly = { sliceBytes: 16_384, readsInFlight: 1, queuePairs: 1 };

/** Pulls, again if need be: a busy computer may give this thread no time while the lanes run. */
async function watched(options: Partial<PullOptions>): Promise<Watched> {
  for (let left = 4; ; left--) {
    const once = await watchedOnce(options);
    const all = once.result.lanes.every((lane) => once.threads.has(threadOf(lane))) && once.threads.has('wc-checksum');
    if (all || left === 0) return once;
    memoryOf(once.result).close();
  }
}

/** The name of its thread, as the kernel cuts it off. */
function threadOf(lane: PullResult['lanes'][number]): string {
  return `wc ${lane.name}`.slice(0, 15);
}

async function watchedOnce(options: Partial<PullOptions>): Promise<Watched> {
  const threads = new Map<string, Set<string>>();
  const state = { ended: false };
  const pulling = pull({ ...shared, ...slowly, into: { kind: 'memory' }, ...options }).then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
  void pulling.then(() => {
    state.ended = true;
  });
  while (!state.ended) {
    lookAtThreads(threads);
    await sleep(2);
  }
  const outcome = await pulling;
  if ('error' in outcome) throw outcome.error;
  return { result: outcome.result, threads };
}

function lookAtThreads(threads: Map<string, Set<string>>): void {
  for (const task of readdirSync('/proc/self/task')) {
    let status: string;
    try {
      status = readFileSync(`/proc/self/task/${task}/status`, 'utf8');
    } catch {
      continue; // it has ended
    }
    const name = /^Name:\t(.*)$/m.exec(status)?.[1] ?? '';
    const allowed = /^Cpus_allowed_list:\t(.*)$/m.exec(status)?.[1] ?? '';
    if (name.startsWith('wc ') || name === 'wc-checksum') threads.set(name, (threads.get(name) ?? new Set()).add(allowed));
  }
}

/** Pages of [address, address + length) that are there, by node, as the kernel has them. */
async function pagesOf({ address, byteLength }: Region): Promise<Record<string, number>> {
  const pages: Record<string, number> = {};
  for (const line of (await readFile('/proc/self/numa_maps', 'utf8')).split('\n')) {
    const [start = '', ...words] = line.split(' ');
    const at = BigInt(`0x${start || '0'}`);
    if (at < address || at >= address + byteLength) continue;
    for (const word of words) {
      const [, node, count] = /^N(\d+)=(\d+)$/.exec(word) ?? [];
      if (node !== undefined) pages[node] = (pages[node] ?? 0) + Number(count);
    }
  }
  return pages;
}

/** Of all shared memory, which temporary files are, too. */
async function sharedBytesOf(node: number): Promise<number> {
  const text = await readFile(`/sys/devices/system/node/node${String(node)}/meminfo`, 'utf8');
  return Number(/Shmem: +(\d+) kB/.exec(text)?.[1]) * 1024;
}

function memoryOf({ output }: PullResult): Region {
  assert.ok(output.kind === 'memory');
  return output.region;
}

/** Wherever threads of a name were seen: they take it once they are where they stay. */
function keptOn(threads: Watched['threads'], name: string): string {
  return [...(threads.get(name) ?? [])].join(' or ');
}

test('what is read over a device of node 1 lands in memory of node 1, by threads that are kept there', async () => {
  const { result, threads } = await watched({ devices: ['rxe1'] });
  assert.deepEqual(result.numa, {
    nodes: 2,
    nics: [{ device: 'rxe1', node: 1, processors: '1', reason: '' }],
    memory: { nodes: [1], reason: '' },
  });
  const pages = await pagesOf(memoryOf(result));
  assert.deepEqual(Object.keys(pages), ['1']);
  const [lane] = result.lanes;
  assert.ok(lane);
  assert.equal(keptOn(threads, threadOf(lane)), '1', JSON.stringify([...threads.keys()]));
  assert.equal(keptOn(threads, 'wc-checksum'), '1', 'what hashes behind the lane is near what has landed');
  memoryOf(result).close();
});

test('over devices of both nodes, half of the memory is on each', async () => {
  const { result, threads } = await watched({});
  assert.deepEqual(result.numa?.memory, { nodes: [0, 1], reason: '' });
  const pages = await pagesOf(memoryOf(result));
  assert.deepEqual(Object.keys(pages).sort(), ['0', '1']);
  assert.equal(pages['0'], pages['1']);
  for (const lane of result.lanes) {
    assert.equal(keptOn(threads, threadOf(lane)), lane.localDevice === 'rxe0' ? '0' : '1', lane.name);
  }
  memoryOf(result).close();
});

test('shared memory is on the node, too', async () => {
  const before = await sharedBytesOf(1);
  const { result } = await watchedOnce({ devices: ['rxe1'], into: { kind: 'shared', name: 'weightcast-numa' } });
  assert.deepEqual(result.numa?.memory, { nodes: [1], reason: '' });
  const grown = (await sharedBytesOf(1)) - before;
  assert.ok(grown > bytes * 0.9, `node 1 has ${String(grown)} bytes of shared memory more`);
  await rm('/dev/shm/weightcast-numa');
});

test('turned off, it leaves memory and threads to the kernel and says so', async () => {
  process.env['WEIGHTCAST_NUMA'] = 'off';
  try {
    const { result, threads } = await watched({ devices: ['rxe1'] });
    const reason = 'WEIGHTCAST_NUMA is off';
    assert.deepEqual(result.numa?.memory, { nodes: [], reason });
    assert.deepEqual(result.numa.nics, [{ device: 'rxe1', node: 1, processors: '', reason }]);
    for (const [name, allowed] of threads) assert.deepEqual([...allowed], ['0-1'], name);
    memoryOf(result).close();
  } finally {
    delete process.env['WEIGHTCAST_NUMA'];
  }
});

test('a process that its user keeps on one node is left there', async () => {
  const module = JSON.stringify(import.meta.resolve('#src/locality.js'));
  const script = `const { Locality } = await import(${module}); console.log(JSON.stringify((await Locality.of(['rxe1'])).decisions.nics));`;
  const { stdout } = await promisify(execFile)('taskset', ['-c', '0', process.execPath, '--input-type=module', '-e', script]);
  assert.deepEqual(JSON.parse(stdout), [
    {
      device: 'rxe1',
      node: 1,
      processors: '',
      threadsReason: 'this process is kept on node 0 already, by its affinity mask or its cpuset',
      memoryReason: '',
    },
  ]);
});
