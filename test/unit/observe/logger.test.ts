import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { WeightcastError } from '#src/errors.js';
import { createLogger, silentLogger, type LoggerOptions } from '#src/observe/logger.js';

function capture(options: Omit<LoggerOptions, 'destination'>): { logger: ReturnType<typeof createLogger>; lines: string[] } {
  const lines: string[] = [];
  return { logger: createLogger({ ...options, destination: { write: (line) => lines.push(line) } }), lines };
}

test('JSON lines carry level, ISO time, message and fields', () => {
  const { logger, lines } = capture({ json: true });
  logger.warn('seed is slow', { peer: '10.0.0.1:5', bytes: 2n ** 60n, ms: 12.5 });
  assert.equal(lines.length, 1);
  const line = lines[0] ?? '';
  assert.ok(line.endsWith('\n'));
  const { time, pid, ...rest } = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual(rest, { level: 'warn', msg: 'seed is slow', peer: '10.0.0.1:5', bytes: '1152921504606846976', ms: 12.5 });
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.equal(pid, process.pid);
});

test('text lines are for people', () => {
  const { logger, lines } = capture({});
  logger.info('serving', { rank: 3, name: 'two words', list: [1, 2] });
  assert.match(lines[0] ?? '', /^\d\d:\d\d:\d\d\.\d{3} INFO {2}serving rank=3 name="two words" list=\[1,2\]\n$/);
});

test('levels below the chosen one say nothing', () => {
  const { logger, lines } = capture({ level: 'warn' });
  logger.debug('a');
  logger.info('b');
  logger.warn('c');
  logger.error('d');
  assert.deepEqual(
    lines.map((line) => line.trim().at(-1)),
    ['c', 'd'],
  );
  const quiet = capture({ level: 'silent' });
  quiet.logger.error('x');
  assert.deepEqual(quiet.lines, []);
});

test('errors in fields keep their code and message; their stack only for debugging', () => {
  const error = new WeightcastError('ERR_PEER_LOST', 'the peer went away', { peer: '10.0.0.1:5' });
  const read = (level: 'info' | 'debug'): Record<string, unknown> => {
    const { logger, lines } = capture({ json: true, level });
    logger.error('pull failed', { error });
    return (JSON.parse(lines[0] ?? '') as { error: Record<string, unknown> }).error;
  };
  assert.deepEqual(read('info'), { code: 'ERR_PEER_LOST', peer: '10.0.0.1:5', message: 'the peer went away' });
  assert.match(String(read('debug')['stack']), /logger\.test/);
});

test('nothing in a message or a field can forge a line, a format or a field of its own', () => {
  const text = capture({});
  text.logger.info('a\n12:00:00.000 ERROR forged\u001b[31m %s %d', { x: 'y\nz' });
  assert.equal(text.lines.length, 1);
  assert.match(text.lines[0] ?? '', /a\\x0a12:00:00\.000 ERROR forged\\x1b\[31m %s %d x="y\\nz"\n$/);
  const json = capture({ json: true });
  json.logger.info('%s real', { msg: 'fake', level: 'error', time: 0, pid: 1 });
  const { msg, level, msg_, level_ } = JSON.parse(json.lines[0] ?? '') as Record<string, unknown>;
  assert.deepEqual({ msg, level, msg_, level_ }, { msg: '%s real', level: 'info', msg_: 'fake', level_: 'error' });
});

test('an unknown level is refused', () => {
  assert.throws(() => createLogger({ level: 'loud' as 'info' }), { code: 'ERR_INVALID_ARGUMENT', message: /received loud/ });
});

test('the default destination is standard error, never standard output', () => {
  const script = `import('${import.meta.resolve('#src/observe/logger.js')}').then(({ createLogger }) => createLogger().info('hello'))`;
  const stdout = execFileSync(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  assert.equal(stdout.toString(), '');
  const merged = execFileSync('/bin/sh', ['-c', '"$0" --input-type=module -e "$1" 2>&1 >/dev/null', process.execPath, script]);
  assert.match(merged.toString(), /INFO {2}hello/);
});

test('the silent logger takes everything', () => {
  for (const method of ['debug', 'info', 'warn', 'error'] as const) assert.doesNotThrow(() => silentLogger[method]('x', { y: 1n }));
});
