/** The process of `publishing-child.ts`, seen from the test that starts and kills it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.js';

const script = fileURLToPath(new URL('publishing-child.js', import.meta.url));

export interface Line {
  readonly verb: string;
  readonly workerId: string;
}

export class PublishingChild {
  readonly said: Line[] = [];
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown[]>;

  /** Killed with the test at the latest. */
  constructor(test: TestContext, folder: string, prefix: string) {
    const child = spawn(process.execPath, [script, folder, prefix], { stdio: ['ignore', 'pipe', 'inherit'] });
    test.after(() => child.kill('SIGKILL'));
    this.#process = child;
    this.#closed = once(child, 'close');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [verb = '', workerId = ''] = line.split(' ');
      this.said.push({ verb, workerId });
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Waits for so many more lines that the condition takes. */
  async lines(condition: (line: Line) => boolean, count: number): Promise<void> {
    const from = this.said.length;
    await eventually(`${String(count)} lines of the child`, () => {
      assert.equal(this.#process.exitCode, null, 'the child ended by itself');
      return this.said.slice(from).filter(condition).length >= count ? true : undefined;
    });
  }

  /** With SIGKILL; what it had said by then is in `said` afterwards. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    assert.equal((await this.#closed)[1], 'SIGKILL');
  }
}
