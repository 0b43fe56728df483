/** A process in memory, for commands under test. */
import { EventEmitter } from 'node:events';
import { main } from '#src/cli/program.js';
import type { CliIo, OutputStream } from '#src/cli/io.js';

export class MemoryStream extends EventEmitter implements OutputStream {
  text = '';
  constructor(
    readonly isTTY = false,
    readonly columns = 80,
  ) {
    super();
  }
  write(text: string): boolean {
    this.text += text;
    return true;
  }
}

export interface MemoryIo extends CliIo {
  readonly stdout: MemoryStream;
  readonly stderr: MemoryStream;
  readonly signals: EventEmitter;
  /** Codes that `exit` was called with. */
  readonly exits: number[];
}

export function memoryIo(options: { readonly terminal?: boolean; readonly env?: Readonly<Record<string, string>> } = {}): MemoryIo {
  const exits: number[] = [];
  return {
    stdout: new MemoryStream(options.terminal),
    stderr: new MemoryStream(options.terminal),
    env: options.env ?? {},
    signals: new EventEmitter(),
    exits,
    exit: (code) => exits.push(code),
  };
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line in this process. */
export async function runHere(argv: readonly string[], io = memoryIo()): Promise<Ran> {
  const code = await main(argv, io);
  return { code, stdout: io.stdout.text, stderr: io.stderr.text };
}
