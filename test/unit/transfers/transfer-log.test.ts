import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransferLog } from '#src/metadata/transfers/transfer-log.js';
import { DONE, FAILED, id, report, RUNNING } from '../../support/transfer-reports.js';

function logAt(start: number, options: { capacity?: number; lostAfterMs?: number } = {}): { log: TransferLog; pass: (ms: number) => void } {
  let now = start;
  return {
    log: new TransferLog({ clock: () => now, ...options }),
    pass: (ms) => {
      now += ms;
    },
  };
}

const idsOf = (log: TransferLog): string[] => log.list().map(({ transferId }) => transferId);

test('a later report replaces an earlier one; the start stays', () => {
  const { log, pass } = logAt(1000);
  log.report(report({ bytes: 1n }));
  pass(1000);
  log.report(report({ bytes: 2n }));
  const [transfer, ...others] = log.list();
  assert.equal(others.length, 0);
  assert.equal(transfer?.bytes, 2n);
  assert.equal(transfer.startedAt, 1000);
  assert.equal(transfer.updatedAt, 2000);
  assert.equal(transfer.lost, false);
});

test('those that run come first, then the newest', () => {
  const { log } = logAt(0);
  log.report(report({ transferId: id(1) }));
  log.report(report({ transferId: id(2), state: DONE }));
  log.report(report({ transferId: id(3), state: FAILED }));
  log.report(report({ transferId: id(4) }));
  assert.deepEqual(idsOf(log), [id(4), id(1), id(3), id(2)]);
});

test('a transfer that is over stays as it ended', () => {
  const { log, pass } = logAt(0);
  log.report(report({ state: DONE, bytes: 9n }));
  pass(5000);
  log.report(report({ state: RUNNING, bytes: 3n }));
  log.report(report({ state: FAILED, error: 'too late' }));
  const [transfer] = log.list();
  assert.equal(transfer?.state, DONE);
  assert.equal(transfer.bytes, 9n);
});

test('a running transfer that is not heard of for 30 s is lost, until it is heard of again', () => {
  const { log, pass } = logAt(0);
  log.report(report());
  pass(30_000);
  assert.equal(log.list()[0]?.lost, false);
  pass(1);
  assert.equal(log.list()[0]?.lost, true);
  log.report(report({ bytes: 5n }));
  assert.equal(log.list()[0]?.lost, false);
});

test('an ended transfer is never lost', () => {
  const { log, pass } = logAt(0);
  log.report(report({ state: DONE }));
  pass(1e9);
  assert.equal(log.list()[0]?.lost, false);
});

test('reports that come too fast are left out, but not a new phase nor the end', () => {
  const { log, pass } = logAt(0);
  log.report(report({ phase: 'wire', bytes: 1n }));
  pass(50);
  log.report(report({ phase: 'wire', bytes: 2n }));
  assert.equal(log.list()[0]?.bytes, 1n);
  log.report(report({ phase: 'verify', bytes: 3n }));
  assert.equal(log.list()[0]?.bytes, 3n);
  log.report(report({ phase: 'verify', state: DONE, bytes: 4n }));
  assert.equal(log.list()[0]?.bytes, 4n);
});

test('when it is full, what is over goes before what runs, and the lost before it too', () => {
  const { log, pass } = logAt(0, { capacity: 3, lostAfterMs: 1000 });
  log.report(report({ transferId: id(1) }));
  pass(2000);
  log.report(report({ transferId: id(2) }));
  log.report(report({ transferId: id(3), state: DONE }));
  log.report(report({ transferId: id(4) }));
  assert.deepEqual(idsOf(log).sort(), [id(2), id(3), id(4)], 'the first one was lost');
  log.report(report({ transferId: id(5) }));
  assert.deepEqual(idsOf(log).sort(), [id(2), id(4), id(5)], 'the third one was over');
  log.report(report({ transferId: id(6) }));
  assert.deepEqual(idsOf(log).sort(), [id(4), id(5), id(6)], 'all run: the oldest');
});

test('200 are kept, whatever comes', () => {
  const { log } = logAt(0);
  for (let index = 0; index < 10_000; index++) log.report(report({ transferId: id(index) }));
  assert.equal(log.list().length, 200);
});
