import assert from 'node:assert/strict';
import { test } from 'node:test';
import { difference, type Regions } from '#src/daemon/page/live/regions.js';

const regions = (content: Record<string, [string, string][]>): Regions =>
  new Map(Object.entries(content).map(([id, items]) => [id, new Map(items)]));

const before = regions({
  one: [
    ['a', 'A'],
    ['b', 'B'],
    ['c', 'C'],
  ],
  two: [['x', 'X']],
});

test('without a state before, all of it', () => {
  assert.deepEqual(difference(undefined, before), [
    [
      'one',
      ['a', 'b', 'c'],
      [
        ['a', 'A'],
        ['b', 'B'],
        ['c', 'C'],
      ],
    ],
    ['two', ['x'], [['x', 'X']]],
  ]);
});

test('equal states differ in nothing', () => {
  assert.deepEqual(
    difference(
      before,
      regions({
        one: [
          ['a', 'A'],
          ['b', 'B'],
          ['c', 'C'],
        ],
        two: [['x', 'X']],
      }),
    ),
    [],
  );
});

test('a changed piece is sent alone, without the order', () => {
  assert.deepEqual(
    difference(
      before,
      regions({
        one: [
          ['a', 'A'],
          ['b', 'B2'],
          ['c', 'C'],
        ],
        two: [['x', 'X']],
      }),
    ),
    [['one', null, [['b', 'B2']]]],
  );
});

test('what goes, comes or moves changes the order', () => {
  assert.deepEqual(
    difference(
      before,
      regions({
        one: [
          ['a', 'A'],
          ['c', 'C'],
        ],
        two: [['x', 'X']],
      }),
    ),
    [['one', ['a', 'c'], []]],
  );
  assert.deepEqual(
    difference(
      before,
      regions({
        one: [
          ['c', 'C'],
          ['b', 'B'],
          ['a', 'A'],
        ],
        two: [['x', 'X']],
      }),
    ),
    [['one', ['c', 'b', 'a'], []]],
  );
  assert.deepEqual(
    difference(
      before,
      regions({
        one: [
          ['a', 'A'],
          ['b', 'B'],
          ['d', 'D'],
        ],
        two: [],
      }),
    ),
    [
      ['one', ['a', 'b', 'd'], [['d', 'D']]],
      ['two', [], []],
    ],
  );
});

test('a region that is new is sent as a whole', () => {
  assert.deepEqual(difference(regions({}), regions({ rows: [['__proto__', 'P']], empty: [] })), [
    ['rows', ['__proto__'], [['__proto__', 'P']]],
    ['empty', [], []],
  ]);
});
