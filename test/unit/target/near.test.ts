import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WeightcastError } from '#src/errors.js';
import { rdmaDescriptor, type SegmentDescriptor } from '#src/handshake/index.js';
import { openNearest, type NearWire } from '#src/target/near.js';
import type { Affinity, Distance } from '#src/topology/index.js';
import { gidOf, NicDouble } from '../../support/nic-double.js';

const nics = [0, 1, 2, 3].map((index) => new NicDouble(`mlx5_${String(index)}`, gidOf(index + 1)));

function seedWith(devices: number): SegmentDescriptor {
  const listed = nics.slice(0, devices).map(({ device }, index) => ({ name: device, gid: gidOf(index + 11), lid: 0 }));
  return rdmaDescriptor({ name: '10.0.0.9:1', devices: listed });
}

/** @param rows distances of `cuda:0`, `cuda:1`, …, to all NICs. */
function tableOf(...rows: (readonly Distance[])[]): (names: readonly string[]) => Promise<Affinity> {
  return (names) =>
    Promise.resolve({
      nics: names,
      accelerators: rows.map((distances, index) => ({ accelerator: `cuda:${String(index)}`, distances })),
    });
}

interface Case {
  readonly accelerators?: readonly string[];
  readonly table?: ReturnType<typeof tableOf>;
  /** NICs that reach the seed; default all. */
  readonly reaching?: readonly string[];
  readonly seed?: SegmentDescriptor;
  readonly code?: 'ERR_VERBS' | 'ERR_HANDSHAKE';
}

const rows = [
  ['PIX', 'PXB', 'SYS', 'SYS'],
  ['PXB', 'PXB', 'SYS', 'SYS'],
  ['SYS', 'SYS', 'NODE', 'SYS'],
] as const;

/** Which NICs were tried, try by try, and what came of it: `opened` are those of the last try. */
async function open(given: Case): Promise<NearWire<string[]> & { readonly tries: string[][] }> {
  const { accelerators = ['cuda:0'], table = tableOf(...rows), reaching, seed = seedWith(4), code = 'ERR_VERBS' } = given;
  const tries: string[][] = [];
  const wire = await openNearest(
    nics,
    accelerators,
    seed,
    (pairs) => {
      const names = pairs.map(({ nic }) => nic.device).sort();
      tries.push(names);
      if (reaching === undefined || names.some((name) => reaching.includes(name))) return Promise.resolve({ opened: names });
      const unreachable = new WeightcastError(code, `no way from ${names.join()}`, { peer: '10.0.0.9:1', errno: 110 });
      return Promise.resolve({ unreachable });
    },
    table,
  );
  return { ...wire, tries };
}

describe('NICs that read into an accelerator', () => {
  it('are the nearest to it; a note names the others and says how far all are', async () => {
    const { opened, instead, leftOut } = await open({});
    assert.deepEqual(opened, ['mlx5_0']);
    assert.equal(instead, '');
    assert.equal(
      leftOut,
      'mlx5_1 (PXB), mlx5_2 (SYS), mlx5_3 (SYS) left out: mlx5_0 (PIX) is nearer to cuda:0; RDMA devices that are named are used wherever they are',
    );
  });

  it('are all that are equally near', async () => {
    const { opened, leftOut } = await open({ accelerators: ['cuda:1'] });
    assert.deepEqual(opened, ['mlx5_0', 'mlx5_1']);
    assert.match(leftOut, /mlx5_0 \(PXB\), mlx5_1 \(PXB\) are nearer to cuda:1/);
  });

  it('of several accelerators are those of each together', async () => {
    const { opened, leftOut } = await open({ accelerators: ['cuda:0', 'cuda:2'] });
    assert.deepEqual(opened, ['mlx5_0', 'mlx5_2']);
    assert.match(leftOut, /^mlx5_1 \(PXB, SYS\), mlx5_3 \(SYS, SYS\) left out: .* are nearer to cuda:0, cuda:2;/);
  });

  it('are all where nothing is known, or all are equal, without a note', async () => {
    const all = nics.map(({ device }) => device);
    for (const given of [
      { table: tableOf(['unknown', 'unknown', 'unknown', 'unknown']) },
      { table: tableOf(['PHB', 'PHB', 'PHB', 'PHB']) },
      { accelerators: ['cuda:7'] },
    ]) {
      const { opened, instead, leftOut } = await open(given);
      assert.deepEqual({ opened, instead, leftOut }, { opened: all, instead: '', leftOut: '' });
    }
  });

  it('need not be chosen where there is one: nobody is asked', async () => {
    const asked = (): Promise<never> => Promise.reject(new Error('asked'));
    const only = await openNearest(nics.slice(0, 1), ['cuda:0'], seedWith(4), () => Promise.resolve({ opened: 1 }), asked);
    assert.deepEqual(only, { opened: 1, instead: '', leftOut: '' });
  });
});

describe('where the nearest NIC does not reach the seed', () => {
  it('the next nearest reads, and notes say why, and which are farther still', async () => {
    const { tries, instead, leftOut } = await open({ reaching: ['mlx5_1', 'mlx5_2', 'mlx5_3'] });
    assert.deepEqual(tries, [['mlx5_0'], ['mlx5_1']]);
    assert.equal(
      instead,
      'read into cuda:0 by mlx5_1 (PXB), since what comes before does not reach the seed: mlx5_0 (PIX): no way from mlx5_0',
    );
    assert.match(leftOut, /^mlx5_2 \(SYS\), mlx5_3 \(SYS\) left out: mlx5_1 \(PXB\) is nearer to cuda:0;/);
  });

  it('all of one distance are tried together, up to the farthest', async () => {
    const { tries, opened, instead, leftOut } = await open({ reaching: ['mlx5_3'] });
    assert.deepEqual(tries, [['mlx5_0'], ['mlx5_1'], ['mlx5_2', 'mlx5_3']]);
    assert.deepEqual(opened, ['mlx5_2', 'mlx5_3']);
    assert.match(instead, /by mlx5_2 \(SYS\), mlx5_3 \(SYS\), .*: mlx5_0 \(PIX\): no way from mlx5_0; mlx5_1 \(PXB\): no way from mlx5_1$/);
    assert.equal(leftOut, '');
  });

  it('a seed with one NIC is tried from one after the other', async () => {
    const { tries, opened } = await open({ accelerators: ['cuda:1'], reaching: ['mlx5_2'], seed: seedWith(1) });
    assert.deepEqual([tries.slice(0, 2).flat().sort(), opened], [['mlx5_0', 'mlx5_1'], ['mlx5_2']]);
    assert.ok(tries.every((names) => names.length === 1));
  });

  it('nor any other does: the error is that of the nearest, with all others in its message', async () => {
    await assert.rejects(open({ reaching: [], code: 'ERR_HANDSHAKE' }), (error: WeightcastError) => {
      assert.equal(error.code, 'ERR_HANDSHAKE');
      assert.equal(
        error.message,
        'no way from mlx5_0; nor do farther devices reach it: mlx5_1 (PXB): no way from mlx5_1; mlx5_2 (SYS), mlx5_3 (SYS): no way from mlx5_2,mlx5_3',
      );
      assert.deepEqual([error.peer, error.errno], ['10.0.0.9:1', 110]);
      return true;
    });
  });

  it('an error that another NIC does not change ends it', async () => {
    let tries = 0;
    const failing = openNearest(
      nics,
      ['cuda:0'],
      seedWith(4),
      () => {
        tries += 1;
        return Promise.reject(new WeightcastError('ERR_PEER_LOST', 'gone'));
      },
      tableOf(...rows),
    );
    await assert.rejects(failing, { code: 'ERR_PEER_LOST' });
    assert.equal(tries, 1);
  });
});
