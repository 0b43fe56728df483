/** How a command says that it failed: one line on stderr, the same as JSON on stdout with `--json`, and an exit code. */
import { inspect } from 'node:util';
import type { WeightcastError } from '../errors.js';
import { exitCodeOf, exitCodeOfSignal, type EndSignal, type ExitCode } from './exit-codes.js';
import type { Output } from './output.js';
import { UsageError } from './usage-error.js';

export interface ReportOptions {
  /** `pull`; undefined when the command line names no command. */
  readonly command: string | undefined;
  readonly output: Output;
  readonly json: boolean;
  /** Adds stacks and causes. */
  readonly verbose: boolean;
  /** The signal that asked the command to end, if one did. */
  readonly signal: EndSignal | undefined;
}

/** Reports the error and returns the exit code that belongs to it. */
export async function reportError(error: unknown, options: ReportOptions): Promise<ExitCode> {
  const { command, output, json, verbose, signal } = options;
  const known = error instanceof UsageError ? error : (await import('../errors.js')).toWeightcastError(error);
  const interrupted = signal !== undefined && known.code === 'ERR_ABORTED';
  const name = command === undefined ? 'weightcast' : `weightcast ${command}`;
  // Lines after the first are set in, so that no message can pass for one of ours.
  const [first = '', ...rest] = (interrupted ? `ended by ${signal}` : known.message).split('\n');
  output.note(`${name}: ${known.code}: ${first}`);
  for (const line of rest) output.note(`  ${line}`);
  if (command !== undefined && known instanceof UsageError) output.note(`Run "${name} --help" for its flags.`);
  if (verbose) for (const line of traceOf(known)) output.note(line);
  if (json) output.json({ error: fieldsOf(known) });
  return interrupted ? exitCodeOfSignal(signal) : exitCodeOf(known.code);
}

function fieldsOf(error: UsageError | WeightcastError): object {
  if (error instanceof UsageError) return { code: error.code, message: error.message };
  const { code, message, peer, tensor, file, syscall, errno, wcStatus, grpcStatus, grpcMessage, attempts } = error;
  return { code, message, peer, tensor, file, syscall, errno, wcStatus, grpcStatus, grpcMessage, attempts };
}

function traceOf(error: Error): string[] {
  const lines = [error.stack ?? error.message];
  for (let cause = error.cause; cause !== undefined && lines.length < 8; cause = cause instanceof Error ? cause.cause : undefined) {
    lines.push(`caused by: ${cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause)}`);
  }
  return lines.flatMap((text) => text.split('\n'));
}
