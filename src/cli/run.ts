/** Runs one command: signals, logger, progress, errors, exit code. */
import type { Logger } from '../observe/logger.js';
import { ProgressDisplay, silentProgress, type Progress } from '../observe/progress.js';
import { ExitCode } from './exit-codes.js';
import { wantsColor, type CliIo } from './io.js';
import type { CommonFlags } from './options.js';
import { Output } from './output.js';
import { reportError } from './report-error.js';
import { EndSignals } from './signals.js';

/** What a command's body works with. */
export interface CommandContext {
  readonly io: CliIo;
  readonly output: Output;
  readonly flags: CommonFlags;
  /** Fires at SIGINT and SIGTERM: clean up and end. */
  readonly signal: AbortSignal;
  /** For commands that run until a signal ends them: waits for it and returns its exit code. */
  readonly untilSignal: () => Promise<ExitCode>;
  /** Begins progress lines and drives the bar; the same object at every call. */
  readonly progress: () => Progress;
  /** Logs on stderr: from `level` on, everything with `--verbose`, errors only with `--quiet`. */
  readonly logger: (level: 'info' | 'warn') => Promise<Logger>;
}

/** The body of a command; returns its exit code, nothing for 0. */
export type CommandBody = (context: CommandContext) => Promise<ExitCode | undefined>;

/** What command definitions call from their action. */
export type RunCommand = (name: string, flags: CommonFlags, body: CommandBody) => Promise<void>;

export async function runCommand(io: CliIo, name: string, flags: CommonFlags, body: CommandBody): Promise<ExitCode> {
  const output = new Output(io);
  using signals = new EndSignals(io);
  let progress: Progress | undefined;
  const context: CommandContext = {
    io,
    output,
    flags,
    signal: signals.signal,
    untilSignal: () => signals.wait(),
    progress: () => {
      progress ??=
        flags.quiet === true ? silentProgress : new ProgressDisplay({ label: name, stream: io.stderr, color: wantsColor(io, io.stderr) });
      return progress;
    },
    logger: async (level) => {
      const { createLogger } = await import('../observe/logger.js');
      const logger = createLogger({
        level: flags.quiet === true ? 'error' : flags.verbose === true ? 'debug' : level,
        json: flags.json === true,
        destination: io.stderr,
      });
      return clearingBar(logger, () => progress?.clear());
    },
  };
  try {
    const code = await body(context);
    if (output.failure !== undefined) throw output.failure;
    return code ?? ExitCode.ok;
  } catch (error) {
    progress?.finish();
    const { json = false, verbose = false } = flags;
    return await reportError(error, { command: name, output, json, verbose, signal: signals.received });
  }
}

/** A log line must not be written behind a bar. */
function clearingBar(logger: Logger, clear: () => void): Logger {
  const log =
    (level: keyof Logger) =>
    (message: string, fields?: object): void => {
      clear();
      logger[level](message, fields);
    };
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
}
