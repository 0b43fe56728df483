import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { silentLogger } from '#src/observe/logger.js';
import { TokenList } from '#src/security/token-list.js';

function write(test: TestContext, text: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'weightcast-tokens-'));
  test.after(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  const file = join(dir, 'tokens');
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

describe('a token list', () => {
  it('has a token and a name a line, and comments', async (test) => {
    const text = [
      '# who may call',
      '',
      'token-of-sixteen                       # no name',
      '   token-of-the-seed-0001   seed of rack 7  # indented',
      'token-with-#-inside-it hash\r',
      '\ttoken-of-the-target-01\ttarget',
      'token-of-the-target-02 target',
    ].join('\n');
    const list = TokenList.open(write(test, text), silentLogger);
    const subject = async (token: string): Promise<string | undefined> => {
      const verdict = await list.authenticate(token);
      return verdict.outcome === 'accepted' ? verdict.principal.subject : undefined;
    };
    assert.equal(await subject('token-of-sixteen'), 'line 3');
    assert.equal(await subject('token-of-the-seed-0001'), 'seed of rack 7');
    assert.equal(await subject('token-with-#-inside-it'), 'hash');
    assert.equal(await subject('token-of-the-target-01'), 'target');
    assert.equal(await subject('token-of-the-target-02'), 'target');
    for (const token of ['', '#', 'target', 'token-of-the-target-0', 'token-of-the-target-012', ' token-of-sixteen', 'TOKEN-OF-SIXTEEN']) {
      assert.deepEqual(await list.authenticate(token), { outcome: 'unauthenticated' }, token);
    }
    await list.close();
  });

  const broken: [string, string, RegExp][] = [
    ['no token', '# nobody\n\n', /there is no token in it/],
    ['a short token', 'long-enough-token-1 a\nshort b\n', /the token in line 2 has 5 characters; at least 16 are needed/],
    ['letters beyond ASCII', 'schlüssel-der-länger-ist', /the token in line 1 is not of printable ASCII/],
    ['a token twice', 'long-enough-token-1 a\n\nlong-enough-token-1 b\n', /lines 1 and 3 have the same token/],
    [
      'too many tokens',
      Array.from({ length: 1001 }, (_, index) => `long-enough-token-${String(index)}`).join('\n'),
      /1001 tokens in it; 1000 are the most/,
    ],
  ];
  for (const [what, text, reason] of broken) {
    it(`with ${what} is an error that names file and line and shows no token`, (test) => {
      const file = write(test, text);
      assert.throws(
        () => TokenList.open(file, silentLogger),
        (error: Error & { code?: string; file?: string }) => {
          assert.equal(error.code, 'ERR_CONFIG');
          assert.equal(error.file, file);
          assert.ok(error.message.startsWith(`cannot use the token file ${file}: `), error.message);
          assert.match(error.message, reason);
          assert.doesNotMatch(error.message, /long-enough|short |schl/);
          return true;
        },
      );
    });
  }

  it('that is not there is an error that names it', () => {
    assert.throws(() => TokenList.open('/no/such/tokens', silentLogger), { code: 'ERR_CONFIG', message: /\/no\/such\/tokens: .*ENOENT/ });
  });
});
