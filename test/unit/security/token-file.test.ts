import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { TokenFile, type TokenFileOptions } from '#src/security/token-file.js';

interface Warning {
  readonly message: string;
  readonly fields: { readonly file: string; readonly error: Error };
}

async function setUp(test: TestContext, options: TokenFileOptions = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'weightcast-token-'));
  test.after(() => rm(dir, { recursive: true, force: true }));
  const path = join(dir, 'token');
  const warnings: Warning[] = [];
  const unexpected = (): void => assert.fail('only warnings are expected');
  const logger = {
    debug: unexpected,
    info: unexpected,
    error: unexpected,
    warn: (message: string, fields?: object) => void warnings.push({ message, fields: fields as Warning['fields'] }),
  };
  const clock = { now: 0 };
  const file = new TokenFile(path, { logger, now: () => clock.now, ...options });
  let mtime = 1000;
  /** Every write gets another time: two of one test can fall into one tick of the file system's clock. */
  const write = async (text: string | Buffer, keepTime = false): Promise<void> => {
    await writeFile(path, text);
    if (!keepTime) mtime += 1;
    await utimes(path, mtime, mtime);
  };
  return { dir, path, file, warnings, clock, write };
}

describe('a token file', () => {
  it('gives its content without white space around it', async (test) => {
    const { file, write, warnings } = await setUp(test);
    await write('\n  abc.def-ghi \r\n\n');
    assert.equal(await file.get(), 'abc.def-ghi');
    assert.deepEqual(warnings, []);
  });

  it('is not looked at again for 60 s', async (test) => {
    const { file, write, clock, path } = await setUp(test);
    await write('one');
    assert.equal(await file.get(), 'one');
    await write('two');
    clock.now = 59_999;
    assert.equal(await file.get(), 'one');
    await rm(path);
    assert.equal(await file.get(), 'one');
    await write('three');
    clock.now = 60_000;
    assert.equal(await file.get(), 'three');
  });

  it('is read again after that only when its time has changed', async (test) => {
    const { file, write, clock } = await setUp(test);
    await write('one');
    assert.equal(await file.get(), 'one');
    await write('two', true);
    clock.now = 60_000;
    assert.equal(await file.get(), 'one');
    // That look began another 60 s.
    await write('three');
    clock.now = 119_999;
    assert.equal(await file.get(), 'one');
    clock.now = 120_000;
    assert.equal(await file.get(), 'three');
  });

  it('has a time to live that can be set, 0 too', async (test) => {
    const { file, write } = await setUp(test, { ttlMs: 0 });
    for (const token of ['one', 'two', 'three']) {
      await write(token);
      assert.equal(await file.get(), token);
    }
  });

  it('may be a symbolic link that is replaced, as Kubernetes does it', async (test) => {
    const { dir, path, file, clock } = await setUp(test);
    for (const [index, token] of ['one', 'two'].entries()) {
      await writeFile(join(dir, `data-${token}`), token);
      await utimes(join(dir, `data-${token}`), 1000 + index, 1000 + index);
      await symlink(`data-${token}`, join(dir, 'next'));
      await rename(join(dir, 'next'), path);
      assert.equal(await file.get(), token);
      clock.now += 60_000;
    }
  });

  it('that is missing is one warning and no token, and is looked for at every call', async (test) => {
    const { file, write, warnings, path } = await setUp(test);
    for (let call = 0; call < 3; call++) assert.equal(await file.get(), undefined);
    assert.equal(warnings.length, 1);
    assert.equal(warnings[0]?.message, 'no bearer token is sent: the token file cannot be used');
    assert.equal(warnings[0].fields.file, path);
    assert.match(warnings[0].fields.error.message, /ENOENT/);
    await write('here');
    assert.equal(await file.get(), 'here');
  });

  it('that goes is forgotten after its time, with a warning', async (test) => {
    const { file, write, warnings, clock, path } = await setUp(test);
    await write('one');
    await file.get();
    await rm(path);
    clock.now = 60_000;
    assert.equal(await file.get(), undefined);
    assert.equal(warnings.length, 1);
    await write('two');
    assert.equal(await file.get(), 'two');
    await rm(path);
    clock.now = 120_000;
    assert.equal(await file.get(), undefined);
    assert.equal(warnings.length, 2);
  });

  const useless: [string, string | Buffer, RegExp][] = [
    ['nothing', '', /it is empty/],
    ['white space', ' \n\t\n', /it is empty/],
    ['two lines', 'sesame\ntwo', /something else than one line of ASCII/],
    ['control characters', 'sesame\0two', /something else/],
    ['letters beyond ASCII', 'sésame', /something else/],
    ['bytes', Buffer.from([0xff, 0xfe, 0x80]), /something else/],
  ];
  for (const [what, content, reason] of useless) {
    it(`that holds ${what} is a warning, which does not show it, and no token`, async (test) => {
      const { file, write, warnings } = await setUp(test);
      await write(content);
      assert.equal(await file.get(), undefined);
      assert.equal(await file.get(), undefined);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!.fields.error.message, reason);
      assert.doesNotMatch(`${warnings[0]!.message} ${warnings[0]!.fields.error.message}`, /s[eé]same/);
    });
  }

  it('that cannot be read is a warning and no token', async (test) => {
    const { dir, warnings } = await setUp(test);
    const logger = { debug: () => undefined, info: () => undefined, error: () => undefined, warn: () => void warnings.push({} as Warning) };
    assert.equal(await new TokenFile(dir, { logger }).get(), undefined);
    assert.equal(warnings.length, 1);
  });

  it('is read once for many calls at the same time', async (test) => {
    const { file, write, warnings } = await setUp(test);
    await Promise.all(Array.from({ length: 20 }, () => file.get()));
    assert.equal(warnings.length, 1);
    await write('one');
    assert.deepEqual(new Set(await Promise.all(Array.from({ length: 20 }, () => file.get()))), new Set(['one']));
  });
});
