/** Logging. The library logs only through a {@link Logger} that it is given, and never to standard output. */
import { pino } from 'pino';
import { WeightcastError } from '../errors.js';

/** What the library needs of a logger. Messages are sentences; what varies goes into fields. */
export interface Logger {
  debug(message: string, fields?: object): void;
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
}

const nothing = (): void => undefined;

/** Says nothing; the library's default. */
export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** From the most talkative to the quietest. */
export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;

/** What is logged: this level and those after it. */
export type LogLevel = (typeof logLevels)[number];

/** Settings of {@link createLogger}. */
export interface LoggerOptions {
  /** Default `info`. */
  readonly level?: LogLevel;
  /** One JSON object a line (pino's: `level`, `time` in ISO 8601, `pid`, `msg`, fields) instead of text; default false. */
  readonly json?: boolean;
  /** Where lines go, each with its line end; default: standard error, written synchronously; a closed pipe is ignored. */
  readonly destination?: { write(line: string): void };
}

/**
 * A logger on standard error. Fields that are errors become `{ code, message, … }`, with their stack at level `debug`
 * only; `bigint` becomes decimal text, since JSON readers round large numbers.
 *
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` for an unknown level.
 */
export function createLogger(options: LoggerOptions = {}): Logger {
  const { level = 'info', json = false, destination = pino.destination({ dest: 2, sync: true }) } = options;
  if (!logLevels.includes(level)) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `expected one of ${logLevels.join(', ')} for level but received ${level as string}`);
  }
  const stream = json ? destination : { write: (line: string) => destination.write(humanLine(line)) };
  const sink = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  const log =
    (method: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields?: object): void => {
      if (sink.isLevelEnabled(method)) sink[method](plain(fields ?? {}, level === 'debug'), '%s', message);
    };
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
}

/** Fields as JSON can hold them. `msg`, `level`, `time` and `pid` are the line's own: fields of these names get a `_`. */
function plain(fields: object, stacks: boolean): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    const name = ['msg', 'level', 'time', 'pid'].includes(key) ? `${key}_` : key;
    result[name] = value instanceof Error ? describe(value, stacks) : typeof value === 'bigint' ? value.toString() : value;
  }
  return result;
}

function describe(error: Error, stacks: boolean): Record<string, unknown> {
  const { message, stack } = error;
  const own = error instanceof WeightcastError ? { code: error.code, peer: error.peer, tensor: error.tensor, file: error.file } : {};
  return { ...own, message, ...(stacks ? { stack } : {}) };
}

/** pino's line → `12:34:56.789 WARN  message  key=value`. */
function humanLine(line: string): string {
  const { level, time, msg, pid: _pid, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const parts = Object.entries(fields).map(([key, value]) => `${key}=${fieldText(value)}`);
  const text = [String(time).slice(11, 23), String(level).toUpperCase().padEnd(5), String(msg), ...parts].join(' ');
  return `${escapeControls(text)}\n`;
}

/** What peers wrote can stand in a message: it must not forge lines or drive the terminal. */
function escapeControls(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function fieldText(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
