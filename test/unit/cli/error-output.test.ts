import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runCommand, type CommandBody } from '#src/cli/run.js';
import { throwIfAborted, WeightcastError } from '#src/errors.js';
import { memoryIo, type MemoryIo } from './memory-io.js';

function failing(error: Error): CommandBody {
  return () => Promise.reject(error);
}

describe('a command that fails', () => {
  it('says what, in one line, and exits with the code of the error', async () => {
    const io = memoryIo();
    const code = await runCommand(io, 'pull', {}, failing(new WeightcastError('ERR_NO_SOURCE', 'nobody serves m')));
    assert.equal(code, 3);
    assert.equal(io.stderr.text, 'weightcast pull: ERR_NO_SOURCE: nobody serves m\n');
    assert.equal(io.stdout.text, '');
  });

  it('prints the fields of the error with --json', async () => {
    const io = memoryIo();
    const error = new WeightcastError('ERR_CHECKSUM_MISMATCH', 'tensor a differs', { peer: 'h:1', tensor: 'a', wcStatus: 10 });
    assert.equal(await runCommand(io, 'pull', { json: true }, failing(error)), 5);
    assert.deepEqual(JSON.parse(io.stdout.text), {
      error: { code: 'ERR_CHECKSUM_MISMATCH', message: 'tensor a differs', peer: 'h:1', tensor: 'a', wcStatus: 10 },
    });
    assert.match(io.stderr.text, /^weightcast pull: ERR_CHECKSUM_MISMATCH: tensor a differs\n$/);
  });

  it('maps foreign errors, and shows causes only with --verbose', async () => {
    const cause = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write', errno: -28 });
    const quiet = memoryIo();
    assert.equal(await runCommand(quiet, 'pull', {}, failing(cause)), 7);
    assert.equal(quiet.stderr.text, 'weightcast pull: ERR_DISK_FULL: ENOSPC: no space left on device, write\n');
    const verbose = memoryIo();
    assert.equal(await runCommand(verbose, 'pull', { verbose: true }, failing(cause)), 7);
    assert.match(verbose.stderr.text, /\ncaused by: Error: ENOSPC/);
  });

  it('cannot be made to print control characters', async () => {
    const io = memoryIo();
    await runCommand(io, 'pull', {}, failing(new WeightcastError('ERR_SERVER', 'says \u001b[2J\nweightcast pull: fine')));
    assert.equal(io.stderr.text, 'weightcast pull: ERR_SERVER: says \\x1b[2J\n  weightcast pull: fine\n');
  });

  it('takes its progress bar away first', async () => {
    const io = memoryIo({ terminal: true });
    await runCommand(io, 'pull', {}, (context) => {
      context.progress().update('wire', 1n, 2n);
      return failing(new WeightcastError('ERR_PEER_LOST', 'gone'))(context);
    });
    assert.ok(io.stderr.text.endsWith('\r\u001b[2Kweightcast pull: ERR_PEER_LOST: gone\n'));
  });
});

describe('signals', () => {
  /** A command that works until it is aborted. */
  const working: CommandBody = async ({ signal, untilSignal }) => {
    await untilSignal();
    throwIfAborted(signal, 'pull: wire');
    return undefined;
  };

  async function interrupted(io: MemoryIo, signal: 'SIGINT' | 'SIGTERM', body: CommandBody): Promise<number> {
    const ended = runCommand(io, 'pull', { json: true }, body);
    io.signals.emit(signal, signal);
    return ended;
  }

  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`${signal} aborts, and is the exit code`, async () => {
      const io = memoryIo();
      assert.equal(await interrupted(io, signal, working), expected);
      assert.match(io.stderr.text, new RegExp(`ERR_ABORTED: ended by ${signal}`));
      assert.equal((JSON.parse(io.stdout.text) as { error: { code: string } }).error.code, 'ERR_ABORTED');
      assert.deepEqual(io.exits, []);
      assert.equal(io.signals.listenerCount(signal), 0, 'listeners are gone');
    });
  }

  it('a command that serves until then ends in order, with the same exit code', async () => {
    let closed = false;
    const serving: CommandBody = async ({ untilSignal }) => {
      const code = await untilSignal();
      closed = true;
      return code;
    };
    const io = memoryIo();
    assert.equal(await interrupted(io, 'SIGTERM', serving), 143);
    assert.ok(closed);
    assert.equal(io.stderr.text, '');
  });

  it('a command that was done all the same is 0', async () => {
    assert.equal(await interrupted(memoryIo(), 'SIGINT', () => Promise.resolve(undefined)), 0);
  });

  it('the second one ends the process at once', async () => {
    const io = memoryIo();
    let finish: (() => void) | undefined;
    const ended = runCommand(io, 'pull', {}, async ({ untilSignal }) => {
      await untilSignal();
      await new Promise<void>((resolve) => (finish = resolve));
      return undefined;
    });
    io.signals.emit('SIGTERM', 'SIGTERM');
    assert.deepEqual(io.exits, []);
    io.signals.emit('SIGINT', 'SIGINT');
    assert.deepEqual(io.exits, [130]);
    await new Promise((resolve) => setImmediate(resolve));
    finish?.();
    await ended;
  });

  it('an error that is not an abort keeps its own code', async () => {
    const code = await interrupted(memoryIo(), 'SIGINT', async ({ untilSignal }) => {
      await untilSignal();
      throw new WeightcastError('ERR_DISK_FULL', 'full');
    });
    assert.equal(code, 7);
  });
});

describe('output whose reader has gone', () => {
  it('ends quietly', async () => {
    const io = memoryIo();
    const code = await runCommand(io, 'sources', {}, ({ output }) => {
      output.line('first');
      io.stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
      assert.ok(output.closed.aborted);
      output.line('second');
      return Promise.resolve(undefined);
    });
    assert.equal(code, 0);
    assert.equal(io.stdout.text, 'first\n');
    assert.equal(io.stderr.text, '');
  });

  it('is a failure when it is lost for another reason', async () => {
    const io = memoryIo();
    const code = await runCommand(io, 'sources', {}, () => {
      io.stdout.emit('error', Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC', syscall: 'write' }));
      return Promise.resolve(undefined);
    });
    assert.equal(code, 7);
    assert.equal(io.stderr.text, 'weightcast sources: ERR_DISK_FULL: write ENOSPC\n');
  });
});
