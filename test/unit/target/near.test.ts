import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nearNics } from '#src/target/near.js';
import type { Affinity, Distance } from '#src/topology/index.js';
import { gidOf, NicDouble } from '../../support/nic-double.js';

const nics = [0, 1, 2, 3].map((index) => new NicDouble(`mlx5_${String(index)}`, gidOf(index + 1)));

/** @param rows distances of `cuda:0`, `cuda:1`, …, to all NICs. */
function tableOf(...rows: (readonly Distance[])[]): (names: readonly string[]) => Promise<Affinity> {
  return (names) =>
    Promise.resolve({
      nics: names,
      accelerators: rows.map((distances, index) => ({ accelerator: `cuda:${String(index)}`, distances })),
    });
}

async function chosen(accelerators: readonly string[], table: ReturnType<typeof tableOf>): Promise<[string[], string]> {
  const { nics: near, note } = await nearNics(nics, accelerators, table);
  return [near.map(({ device }) => device), note];
}

const rows = [
  ['PIX', 'PXB', 'SYS', 'SYS'],
  ['PXB', 'PXB', 'SYS', 'SYS'],
  ['SYS', 'SYS', 'NODE', 'SYS'],
] as const;

describe('NICs that read into an accelerator', () => {
  it('are the nearest to it; a note names the others and says how far all are', async () => {
    const [near, note] = await chosen(['cuda:0'], tableOf(...rows));
    assert.deepEqual(near, ['mlx5_0']);
    assert.equal(
      note,
      'mlx5_1 (PXB), mlx5_2 (SYS), mlx5_3 (SYS) left out: mlx5_0 (PIX) is nearer to cuda:0; RDMA devices that are named are used wherever they are',
    );
  });

  it('are all that are equally near', async () => {
    const [near, note] = await chosen(['cuda:1'], tableOf(...rows));
    assert.deepEqual(near, ['mlx5_0', 'mlx5_1']);
    assert.match(note, /mlx5_0 \(PXB\), mlx5_1 \(PXB\) are nearer to cuda:1/);
  });

  it('of several accelerators are those of each together', async () => {
    const [near, note] = await chosen(['cuda:0', 'cuda:2'], tableOf(...rows));
    assert.deepEqual(near, ['mlx5_0', 'mlx5_2']);
    assert.match(note, /^mlx5_1 \(PXB, SYS\), mlx5_3 \(SYS, SYS\) left out: .* are nearer to cuda:0, cuda:2;/);
  });

  it('are all where nothing is known, or all are equal, without a note', async () => {
    const all = nics.map(({ device }) => device);
    assert.deepEqual(await chosen(['cuda:0'], tableOf(['unknown', 'unknown', 'unknown', 'unknown'])), [all, '']);
    assert.deepEqual(await chosen(['cuda:0'], tableOf(['PHB', 'PHB', 'PHB', 'PHB'])), [all, '']);
    assert.deepEqual(await chosen(['cuda:7'], tableOf(...rows)), [all, '']);
  });

  it('need not be chosen where there is one: nobody is asked', async () => {
    const only = await nearNics(nics.slice(0, 1), ['cuda:0'], () => Promise.reject(new Error('asked')));
    assert.deepEqual(only, { nics: nics.slice(0, 1), note: '' });
  });
});
