/**
 * One client attacks, another one goes on calling. Both have their own address and so their own share; what is measured is
 * what the second one feels.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { type ServerProcess, startServerProcess, underAttack, type Attacked } from './under-attack.js';

/**
 * On two processors that the server, the attacker and both halves of this test share, a call waits for a slice of the
 * scheduler now and then, which is milliseconds each, and more when other tests run. Twice a quiet p99 of 1 ms would measure that.
 */
const floorMs = 50;
/** What else the computer does can only make it worse, so the best of these counts; a server that starves clients fails all. */
const tries = 3;

interface Expectation {
  /** Seconds; default 1. */
  readonly seconds?: number;
  /** How the server said no; counted by the server. */
  readonly refusals?: readonly string[];
  /** More than this and the server kept what it should not. MiB; default 400. */
  readonly rssMiB?: number;
  readonly also?: (result: Attacked) => void;
}

const attacks: [kind: string, what: string, expected: Expectation][] = [
  [
    'idle',
    '10 000 idle connections',
    {
      refusals: ['per_client'],
      also: ({ attacker, after }) => {
        assert.equal(attacker['connected'], 10_000);
        assert.ok((after.refusals['per_client'] ?? 0) >= 9000);
        assert.ok(after.lines < 100, `${after.lines} lines in the log`);
      },
    },
  ],
  ['halfOpen', '900 connections that say nothing', {}],
  ['dribble', '200 connections that say hello letter by letter', {}],
  ['noise', 'random bytes', { refusals: ['protocol'] }],
  ['noiseAfterHello', 'random bytes after a valid preface', {}],
  ['oversizedFrames', 'frames that claim 16 MiB', {}],
  ['wrongSettings', 'settings out of range', {}],
  ['http1', 'requests of HTTP/1.1', { refusals: ['protocol'] }],
  ['tlsHello', 'TLS to a port without', { refusals: ['protocol'] }],
  ['pings', 'a flood of PING', {}],
  ['settingsFlood', 'a flood of SETTINGS', {}],
  ['rapidReset', 'calls that are reset at once (CVE-2023-44487)', {}],
  ['unknownMethods', 'calls of a method that there is not', {}],
  ['calls', '800 calls at a time', {}],
  ['hangingCalls', '2 000 calls that do not end', { refusals: ['call:concurrency'] }],
  ['large', 'messages of 90 MiB, four at a time', { rssMiB: 1000 }],
  ['tooLarge', 'messages of 101 MiB', { refusals: ['call:size'], also: ({ attacker }) => assert.ok((attacker['refused'] ?? 0) > 0) }],
  ['slowReaders', 'replies of 16 MiB that nobody reads', { rssMiB: 1000 }],
];

function check({ quiet, during, before, after }: Attacked, { refusals = [], rssMiB = 400 }: Expectation): void {
  assert.deepEqual([...quiet.failed, ...during.failed], []);
  for (const reason of refusals) {
    assert.ok((after.refusals[reason] ?? 0) > (before.refusals[reason] ?? 0), `nothing was refused as ${reason}`);
  }
  assert.ok(after.rssMiB - before.rssMiB < rssMiB, `memory grew from ${before.rssMiB} to ${after.rssMiB} MiB`);
  const allowed = 2 * quiet.p99 + floorMs;
  assert.ok(during.p99 <= allowed, `p99 ${during.p99.toFixed(1)} ms under attack, ${quiet.p99.toFixed(1)} ms before`);
}

describe('a client goes on as before while another sends', () => {
  const cleanups: (() => void)[] = [];
  let server: ServerProcess;
  before(async () => {
    server = await startServerProcess({ after: (cleanup) => void cleanups.push(cleanup as () => void) });
  });
  after(() => {
    for (const cleanup of cleanups) cleanup();
  });

  for (const [kind, what, expected] of attacks) {
    it(what, async (test: TestContext) => {
      for (let left = tries; ; left -= 1) {
        const result = await underAttack(test, server, kind, expected.seconds ?? 1);
        const { quiet, during, attacker, before: start, after: end } = result;
        test.diagnostic(
          `${what}: p99 ${quiet.p99.toFixed(1)} → ${during.p99.toFixed(1)} ms (× ${(during.p99 / quiet.p99).toFixed(1)}), ` +
            `most ${during.max.toFixed(0)} ms, server CPU ${end.cpuMs - start.cpuMs} ms, memory ${start.rssMiB} → ${end.rssMiB} MiB; ${JSON.stringify(attacker)}`,
        );
        try {
          check(result, expected);
          expected.also?.(result);
          return;
        } catch (error) {
          if (left === 1) throw error;
        }
      }
    });
  }
});
