/** examples/engine-cuda-ipc.py as a process of its own, with a double of torch and the stand-in for NVIDIA's driver. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = new URL('../../../../', import.meta.url);
const script = fileURLToPath(new URL('examples/engine-cuda-ipc.py', root));
const doubles = fileURLToPath(new URL('test/support/engine', root));

/** How its memory is made: by cuMemAlloc, or as PyTorch's expandable segments. */
export type EngineKind = 'legacy' | 'vmm';

export class ExampleEngine {
  readonly process: ChildProcess;
  /** Exit code, and all lines that it printed. */
  readonly ended: Promise<{ readonly code: number | null; readonly lines: readonly string[]; readonly stderr: string }>;
  private readonly lines: string[] = [];
  private readonly waiting: (() => void)[] = [];
  private done = false;

  private constructor(side: 'offer' | 'fill', socket: string, kind: EngineKind) {
    const env = { ...process.env, PYTHONPATH: doubles, FAKE_TORCH_VMM: kind === 'vmm' ? '1' : '0' };
    const child = spawn('python3', [script, side, socket], { stdio: ['ignore', 'pipe', 'pipe'], env });
    this.process = child;
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.lines.push(line);
      for (const wake of this.waiting.splice(0)) wake();
    });
    this.ended = once(child, 'close').then(([code]) => {
      this.done = true;
      for (const wake of this.waiting.splice(0)) wake();
      return { code: code as number | null, lines: this.lines, stderr };
    });
    after(() => child.kill('SIGKILL'));
  }

  /** One that listens. */
  static async start(side: 'offer' | 'fill', socket: string, kind: EngineKind): Promise<ExampleEngine> {
    const engine = new ExampleEngine(side, socket, kind);
    await engine.printed('listening');
    return engine;
  }

  /** Waits for a line. */
  async printed(line: string): Promise<void> {
    while (!this.lines.includes(line)) {
      if (this.done) assert.fail(`the engine ended without ${line}: ${JSON.stringify(await this.ended)}`);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }
}
