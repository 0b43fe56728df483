import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { WeightcastError } from '#src/errors.js';
import { loadNative, NATIVE_PATH_VARIABLE } from '#src/native-loader.js';

describe('loading the addon', () => {
  const named = process.env[NATIVE_PATH_VARIABLE];
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'weightcast-load-'));
    Reflect.deleteProperty(process.env, NATIVE_PATH_VARIABLE);
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
    if (named !== undefined) process.env[NATIVE_PATH_VARIABLE] = named;
    else Reflect.deleteProperty(process.env, NATIVE_PATH_VARIABLE);
  });

  function failure(): WeightcastError {
    try {
      loadNative(root);
    } catch (error) {
      assert.ok(error instanceof WeightcastError);
      assert.equal(error.code, 'ERR_NATIVE_UNAVAILABLE');
      return error;
    }
    return assert.fail('it loaded');
  }

  it('tells what was tried, on what, and what to do', () => {
    const { message } = failure();
    assert.match(message, new RegExp(`${process.platform}-${process.arch}.*Node ${process.versions.node}`));
    const tried = [...message.matchAll(/^ {2}(.*): no such file$/gm)].map((match) => match[1] ?? '');
    assert.deepEqual(
      tried.map((file) => file.replace('-musl', '')),
      [`prebuilds/${process.platform}-${process.arch}`, 'build/Release', 'build/Debug'].map((part) => join(root, part, 'weightcast.node')),
    );
    assert.match(message, /npm run build/);
  });

  it('goes on past a file that does not load, and keeps its reason', () => {
    mkdirSync(join(root, 'build', 'Release'), { recursive: true });
    writeFileSync(join(root, 'build', 'Release', 'weightcast.node'), 'not a library');
    const error = failure();
    assert.match(error.message, /build\/Release\/weightcast\.node: .*(invalid ELF header|too short)/);
    assert.match(error.message, /build\/Debug\/weightcast\.node: no such file/);
    assert.ok(error.cause instanceof Error);
  });

  it('tries nothing else when a file is named', () => {
    process.env[NATIVE_PATH_VARIABLE] = join(root, 'other.node');
    const { message } = failure();
    assert.match(message, /other\.node: no such file/);
    assert.doesNotMatch(message, /build\/Release/);
    assert.match(message, new RegExp(NATIVE_PATH_VARIABLE));
  });
});
