/** What attackers do to a server, and what it must answer. */
import assert from 'node:assert/strict';
import { letIn, tokens } from './secure-side.js';
import type { Arena, Attack, Attacked } from './under-attack.js';

export interface Expectation {
  /** How the server said no; counted by the server. */
  readonly refusals?: readonly string[];
  /** More than this and the server kept what it should not. MiB; default 400. */
  readonly rssMiB?: number;
  readonly also?: (result: Attacked) => void;
}

export type AttackCase = [kind: string, what: string, expected: Expectation];

/** Of whoever may connect. */
export const plainAttacks: readonly AttackCase[] = [
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
  ['rapidReset', 'calls that are reset at once (CVE-2023-44487)', { refusals: ['flood'] }],
  ['unknownMethods', 'calls of a method that there is not', {}],
  ['calls', '800 calls at a time', {}],
  ['hangingCalls', '2 000 calls that do not end', { refusals: ['call:concurrency'] }],
  ['large', 'messages of 90 MiB, four at a time', { rssMiB: 1000 }],
  ['tooLarge', 'messages of 101 MiB', { refusals: ['call:size'], also: ({ attacker }) => assert.ok((attacker['refused'] ?? 0) > 0) }],
  ['slowReaders', 'replies of 16 MiB that nobody reads', {}],
];

const toldSo = ({ attacker }: Attacked): void => assert.ok((attacker['refused'] ?? 0) > 0, 'the attacker was not told why');

/** Of whoever has no certificate or token, or none that is good any more. */
export const securedAttacks: readonly AttackCase[] = [
  ['noCertificate', 'handshakes without a certificate', { refusals: ['certificate'], also: toldSo }],
  ['foreignCertificate', 'handshakes with a certificate of another authority', { refusals: ['certificate'], also: toldSo }],
  ['expiredCertificate', 'handshakes with a certificate that has expired', { refusals: ['certificate'], also: toldSo }],
  ['noToken', '800 calls at a time without a token', { refusals: ['call:unauthenticated'], also: toldSo }],
  ['wrongToken', '800 calls at a time with a wrong token', { refusals: ['call:unauthenticated'], also: toldSo }],
  [
    'rotatedToken',
    '800 calls at a time with a token that is taken back while they go on',
    {
      refusals: ['call:unauthenticated'],
      also: (result) => {
        toldSo(result);
        assert.ok((result.attacker['answered'] ?? 0) > 0, 'the token was never good');
      },
    },
  ],
];

/** A token is taken back half-way. Under load an attacker, who gets what processor time is left, takes long to be let in. */
const leastSecondsWithRotation = 1.5;

/** @param seconds how long it takes at least */
export function attackOf(kind: string, { secure }: Arena, seconds: number): Attack {
  if (kind !== 'rotatedToken' || secure === undefined) return { kind, seconds };
  const prepare = (): Promise<void> => letIn(secure, [tokens.own, tokens.rotated]);
  const midway = (): Promise<void> => letIn(secure, [tokens.own]);
  return { kind, seconds: Math.max(seconds, leastSecondsWithRotation), prepare, midway };
}
