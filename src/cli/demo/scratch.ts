/** What the demo leaves nothing of: a temporary directory and processes, gone at its end, however it ends. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from '../child.js';

export class Scratch implements AsyncDisposable {
  readonly directory: string;
  readonly #children: Child[] = [];
  /** `process.exit` (a second Ctrl-C) runs no cleanup but this. */
  readonly #atExit = (): void => {
    for (const child of this.#children) child.kill();
    rmSync(this.directory, { recursive: true, force: true });
  };

  private constructor(directory: string) {
    this.directory = directory;
    process.once('exit', this.#atExit);
  }

  static async create(): Promise<Scratch> {
    return new Scratch(await mkdtemp(join(tmpdir(), 'weightcast-demo-')));
  }

  /** Starts a process that ends with the demo. */
  start(role: string, args: readonly string[], showLogs: boolean): Child {
    const child = new Child(role, args, showLogs);
    this.#children.push(child);
    return child;
  }

  /** Processes first, the latest first: a seed says good-bye to a server that is still there. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [...this.#children].reverse()) await child.stop();
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
    process.off('exit', this.#atExit);
  }
}
