// A Mooncake TransferEngine of the installed wheel (test/support/mooncake/peer.py) that a comparison commands.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '../../testing/shell.mjs';

/** The newest release of scripts/testing/mooncake-versions.txt. */
export const version = readFileSync(path.join(root, 'scripts/testing/mooncake-versions.txt'), 'utf8')
  .split('\n')
  .find((line) => line !== '' && !line.startsWith('#'));

const python = path.join(root, 'build/venv/bin/python');
const program = path.join(root, 'test/support/mooncake/peer.py');

/** Calls must not overlap. */
export class Peer {
  /** @param {Record<string, string>} env `MC_FORCE_TCP`, `MC_GID_INDEX`, … */
  constructor(env) {
    this.log = '';
    this.process = spawn(python, [program], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PYTHONPATH: path.join(root, 'build/mooncake', version),
        PYTHONDONTWRITEBYTECODE: '1',
        GLOG_minloglevel: '1',
        ...env,
      },
    });
    this.process.stderr.setEncoding('utf8').on('data', (text) => (this.log += text));
    this.answers = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  /** Any method of peer.py's `Peer`; throws with its log when it fails. */
  async call(name, parameters = {}) {
    this.process.stdin.write(`${JSON.stringify({ call: name, with: parameters })}\n`);
    const { done, value } = await this.answers.next();
    const answer = done === true ? { error: 'it ended' } : JSON.parse(value);
    if (answer.error !== undefined) throw new Error(`Mooncake ${version}, ${name}: ${answer.error}\n${this.log.slice(-4000)}`);
    return answer.result;
  }

  async stop() {
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
  }
}
