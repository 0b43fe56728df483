import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WeightcastError } from '#src/errors.js';
import { environmentTransferTimeout, withinBudget } from '#src/target/budget.js';

/** Work that only its signal ends, as a transfer whose source says nothing. */
function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => {
      reject(new WeightcastError('ERR_ABORTED', 'aborted after 5 bytes'));
    };
    if (signal?.aborted === true) fail();
    signal?.addEventListener('abort', fail);
  });
}

test('time that is up is a stall of the source, not an abort', async () => {
  await assert.rejects(withinBudget(5, undefined, 'h:1', untilAborted), {
    code: 'ERR_STALLED',
    peer: 'h:1',
    message: /h:1 took longer than its budget of 5 ms.*aborted after 5 bytes/,
  });
});

test('the caller’s abort stays one, and other failures stay what they are', async () => {
  const abort = new AbortController();
  const running = withinBudget(60_000, abort.signal, 'h:1', untilAborted);
  abort.abort();
  await assert.rejects(running, { code: 'ERR_ABORTED' });
  const lost = new WeightcastError('ERR_PEER_LOST', 'lost');
  await assert.rejects(
    withinBudget(60_000, undefined, 'h:1', () => Promise.reject(lost)),
    (error) => error === lost,
  );
  assert.equal(await withinBudget(undefined, undefined, 'h:1', (signal) => Promise.resolve(signal)), undefined);
  // Longer than timers can be: no time-out at once.
  assert.equal(await withinBudget(1e15, undefined, 'h:1', () => new Promise((done) => setTimeout(done, 20, 7))), 7);
});

test('MX_TRANSFER_TIMEOUT counts when it is a positive number of seconds', () => {
  const warned: string[] = [];
  const nothing = (): void => undefined;
  const logger = { debug: nothing, info: nothing, error: nothing, warn: (message: string) => void warned.push(message) };
  const of = (MX_TRANSFER_TIMEOUT: string | undefined): number | undefined => environmentTransferTimeout({ MX_TRANSFER_TIMEOUT }, logger);
  assert.equal(of(undefined), undefined);
  assert.equal(of('2.5'), 2500);
  assert.equal(of(' 1e2 '), 100_000);
  assert.equal(warned.length, 0);
  for (const text of ['0', '-1', 'inf', 'nan', '', 'soon', '0x10']) assert.equal(of(text), undefined, text);
  assert.equal(warned.length, 7);
});
