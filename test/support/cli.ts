/** Runs the built command to its end, in a process of its own, as a user does: text output, pipes, environment. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** From build/test/support to the root of the package. */
export const mainScript = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

export interface CliOptions {
  /** Added to the environment of the test; `undefined` takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Kills the process with SIGKILL after it; default 60 s. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
  /** Closes our end of the command's stdout after its first output, as `| head -1` does. */
  readonly closeStdout?: boolean;
}

export interface CliResult {
  /** Exit code; null when a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Every line of stdout that is a JSON object, parsed. */
  readonly json: readonly Readonly<Record<string, unknown>>[];
}

export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const env = Object.fromEntries(Object.entries({ ...process.env, ...options.env }).filter(([, value]) => value !== undefined));
  const child = spawn(process.execPath, [mainScript, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (options.closeStdout === true) child.stdout.destroy();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  return { code, signal, stdout, stderr, json: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}
