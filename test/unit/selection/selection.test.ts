/** Where the pieces of selection come from: names, options, environment, files. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SourceInstanceRef } from '#src/gen/model_express/p2p.js';
import {
  environmentSelection,
  groveDomains,
  localTopology,
  registerSelector,
  selectorNames,
  selectorOf,
  topologyLevels,
} from '#src/metadata/selection/index.js';
import type { Logger } from '#src/observe/logger.js';

const target = { modelName: 'm', workerId: 'w', workerRank: 0 };
const refs = Array.from({ length: 8 }, (_, index) => SourceInstanceRef.fromPartial({ mxSourceId: 's', workerId: `w${String(index)}` }));

function warnings(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const nothing = (): void => undefined;
  return { lines, debug: nothing, info: nothing, error: nothing, warn: (message) => void lines.push(message) };
}

test('random keeps every candidate and gives every one a turn', () => {
  const first = new Set<string | undefined>();
  for (let run = 0; run < 1000; run++) {
    const ordered = selectorOf().order(refs, target);
    assert.deepEqual(new Set(ordered), new Set(refs));
    first.add(ordered[0]?.workerId);
  }
  assert.equal(first.size, refs.length, 'in 1000 shuffles of 8 each is first at least once: the chance to miss one is below 1e-56');
  assert.deepEqual(
    refs.map((ref) => ref.workerId),
    ['w0', 'w1', 'w2', 'w3', 'w4', 'w5', 'w6', 'w7'],
    'the list given stays as it is',
  );
});

test('removing a source from rendezvous hashing moves no other', () => {
  const selector = selectorOf('rendezvous_hash');
  const all = selector.order(refs, target);
  const without = selector.order(
    refs.filter((ref) => ref !== all[2]),
    target,
  );
  assert.deepEqual(
    without,
    all.filter((ref) => ref !== all[2]),
  );
});

test('targets of one model start at different sources', () => {
  const first = new Set(
    Array.from({ length: 200 }, (_, index) => selectorOf('rendezvous_hash').order(refs, { ...target, workerId: String(index) })[0]),
  );
  assert.equal(first.size, refs.length);
});

test('an unknown name is an error that lists the known ones', () => {
  assert.throws(() => selectorOf('fastest'), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /random, rendezvous_hash, load_aware, topology_aware.*"fastest"/,
  });
  for (const loadWeight of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => selectorOf('load_aware', { loadWeight }), { code: 'ERR_INVALID_ARGUMENT', message: /loadWeight/ });
  }
  assert.throws(() => selectorOf('topology_aware', { topologyLoadWeight: -1 }), { message: /topologyLoadWeight/ });
});

test('a program registers its own selector, or gives the object', () => {
  registerSelector('test_last_first', () => ({ name: 'test_last_first', order: (candidates) => [...candidates].reverse() }));
  assert.ok(selectorNames().includes('test_last_first'));
  assert.equal(selectorOf('test_last_first').order(refs, target)[0], refs[7]);
  const own = { name: 'own', order: () => refs };
  assert.equal(selectorOf(own), own);
});

test('the environment: unknown names and weights warn and fall back', async () => {
  const logger = warnings();
  const settings = await environmentSelection(
    {
      MX_P2P_SOURCE_SELECTOR: 'fastest',
      MX_P2P_LOAD_WEIGHT: 'nan',
      MX_P2P_TOPOLOGY_LOAD_WEIGHT: '-2',
      DYN_TOPOLOGY_MOUNT_PATH: '/nonexistent',
    },
    logger,
  );
  assert.deepEqual(settings, { selector: 'random', topology: {}, topologyLevels: groveDomains, loadWeight: 1, topologyLoadWeight: 0 });
  assert.equal(logger.lines.length, 2);
  assert.match(logger.lines.join('\n'), /MX_P2P_SOURCE_SELECTOR names no selector; random is used\nMX_P2P_LOAD_WEIGHT/);
  const quiet = await environmentSelection({
    MX_P2P_SOURCE_SELECTOR: 'load_aware',
    MX_P2P_LOAD_WEIGHT: '2.5e-1',
    DYN_TOPOLOGY_MOUNT_PATH: '',
  });
  assert.equal(quiet.selector, 'load_aware');
  assert.equal(quiet.loadWeight, 0.25);
  assert.equal(quiet.topologyLoadWeight, undefined);
});

test('levels that nobody else uses are warned of', () => {
  const logger = warnings();
  assert.deepEqual(topologyLevels({ MX_P2P_TOPOLOGY_LEVELS: 'row,rack' }, logger), ['row', 'rack']);
  assert.equal(logger.lines.length, 1);
});

test('topology from the files that the operator mounts', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'weightcast-topology-'));
  context.after(() => rm(folder, { recursive: true }));
  const data = join(folder, '..2026');
  await mkdir(data);
  await writeFile(join(data, 'rack'), ' r7\n');
  await writeFile(join(data, 'zone'), '\n');
  await writeFile(join(data, 'block'), Buffer.from([0xff, 0xfe]));
  // As Kubernetes projects a volume: links to a hidden folder.
  for (const name of ['rack', 'zone', 'block']) await symlink(join(data, name), join(folder, name));
  await symlink(join(folder, 'nowhere'), join(folder, 'host'));
  await mkdir(join(folder, 'region'));
  assert.deepEqual(await localTopology({ DYN_TOPOLOGY_MOUNT_PATH: folder }), { rack: 'r7' });
  assert.deepEqual(await localTopology({ DYN_TOPOLOGY_MOUNT_PATH: folder, MX_P2P_TOPOLOGY: '{"rack":"r1"}' }), { rack: 'r1' });
  assert.deepEqual(await localTopology({ DYN_TOPOLOGY_MOUNT_PATH: join(folder, 'nowhere') }), {});
});
