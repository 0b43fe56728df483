/** What is decided from what the kernel says; the machine's own nodes are for the native tests and the Soft-RoCE machine. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Locality, NUMA_VARIABLE } from '#src/locality.js';
import { numaText } from '#src/cli/seed-summary.js';

const root = mkdtempSync(join(tmpdir(), 'weightcast-locality-'));
after(() => {
  delete process.env['WEIGHTCAST_STANDIN_ROOT'];
  rmSync(root, { recursive: true });
});

function write(path: string, line: string): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${line}\n`);
}

// Every processor that this test may run on is on both nodes: no real machine has that, but any may run it.
write('sys/devices/system/node/online', '0-1');
write('sys/devices/system/node/node0/cpulist', '0-1023');
write('sys/devices/system/node/node1/cpulist', '0-1023');
write('sys/devices/system/node/has_memory', '0');
for (const [device, node] of Object.entries({ mlx5_0: 0, mlx5_1: 0, mlx5_2: 1, mlx5_3: -1 }))
  write(`sys/class/infiniband/${device}/device/numa_node`, String(node));
process.env['WEIGHTCAST_STANDIN_ROOT'] = root;

const environment = {};

describe('locality', () => {
  it('places memory for the devices that have memory near, and says why not for the others', async () => {
    const locality = await Locality.of(['mlx5_0', 'mlx5_1', 'mlx5_2', 'mlx5_3'], environment);
    const region = await locality.memoryNear(['mlx5_0', 'mlx5_1']).allocate(1n << 20n);
    assert.ok(region.handle.placement);
    const { nodes, refusal } = region.handle.placement;
    // A container may refuse it, which is said.
    assert.deepEqual(nodes, refusal === '' ? [0] : []);
    const numa = locality.summary(['mlx5_0', 'mlx5_2', 'mlx5_3'], [region.handle]);
    assert.equal(numa?.nodes, 2);
    assert.deepEqual(
      numa.nics.map(({ device, node }) => [device, node]),
      [
        ['mlx5_0', 0],
        ['mlx5_2', 1],
        ['mlx5_3', -1],
      ],
    );
    assert.match(numa.memory.reason, /node 1 has no memory; the kernel does not say on which node mlx5_3 is/);
    assert.notEqual(locality.processorsOf('mlx5_0'), '');
    assert.equal(locality.processorsOf('mlx5_3'), '');
    region.close();
  });

  it('leaves memory to the kernel where no device has a node with memory', async () => {
    const locality = await Locality.of(['mlx5_2', 'mlx5_3'], environment);
    const region = await locality.memoryNear(['mlx5_2', 'mlx5_3']).allocate(4096n);
    assert.equal(region.handle.placement, undefined);
    region.close();
  });

  it('says what the kernel refused: of memory, and of a thread', async () => {
    const locality = await Locality.of(['mlx5_0'], environment);
    const region = { kind: 'anonymous', placement: { nodes: [], refusal: 'mbind: EPERM' } } as const;
    const numa = locality.summary(['mlx5_0'], [region], new Map([['mlx5_0', 'sched_setaffinity: EPERM']]));
    assert.deepEqual(numa?.memory, { nodes: [], reason: 'mbind: EPERM' });
    assert.deepEqual(numa.nics, [{ device: 'mlx5_0', node: 0, processors: '', reason: 'sched_setaffinity: EPERM' }]);
  });

  it('says whose memory it did not place', async () => {
    const locality = await Locality.of(['mlx5_0'], environment);
    const reasonOf = (kind: 'file' | 'adopted' | 'device'): string | undefined =>
      locality.summary(['mlx5_0'], [{ kind, placement: undefined }])?.memory.reason;
    assert.match(reasonOf('file') ?? '', /page cache/);
    assert.match(reasonOf('adopted') ?? '', /the program/);
    assert.match(reasonOf('device') ?? '', /accelerators/);
  });

  it('does nothing when it is turned off, and says that', async () => {
    const locality = await Locality.of(['mlx5_0'], { [NUMA_VARIABLE]: 'off' });
    assert.equal(locality.processorsOf('mlx5_0'), '');
    const region = await locality.memoryNear(['mlx5_0']).allocate(4096n);
    assert.equal(region.handle.placement, undefined);
    const numa = locality.summary(['mlx5_0'], [region.handle]);
    assert.deepEqual(numa?.memory, { nodes: [], reason: 'WEIGHTCAST_NUMA is off' });
    assert.deepEqual(numa.nics[0]?.reason, 'WEIGHTCAST_NUMA is off');
    region.close();
  });

  it('refuses another value', async () => {
    await assert.rejects(Locality.of([], { [NUMA_VARIABLE]: 'on' }), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /expected auto or off .* "on"/,
    });
  });

  it('has nothing to say without RDMA devices, or on one node', async () => {
    assert.equal((await Locality.of([], environment)).summary([], []), undefined);
    write('sys/devices/system/node/online', '0');
    const locality = await Locality.of(['mlx5_0'], environment);
    assert.equal(locality.summary(['mlx5_0'], []), undefined);
    const region = await locality.memoryNear(['mlx5_0']).allocate(4096n);
    assert.equal(region.handle.placement, undefined);
    region.close();
  });
});

it('the summaries say it in one line', () => {
  const near = { device: 'mlx5_0', node: 0, processors: '0-31', reason: '' };
  const far = { device: 'mlx5_9', node: -1, processors: '', reason: 'not known' };
  assert.equal(
    numaText({ nodes: 2, nics: [near, far], memory: { nodes: [0], reason: '' } }),
    'mlx5_0 on node 0, threads on processors 0-31; mlx5_9 on an unknown node, threads anywhere (not known); memory on node 0',
  );
  assert.match(numaText({ nodes: 2, nics: [], memory: { nodes: [0, 1], reason: '' } }), /^memory on nodes 0, 1$/);
  assert.match(numaText({ nodes: 2, nics: [], memory: { nodes: [], reason: 'EPERM' } }), /^memory anywhere \(EPERM\)$/);
});
