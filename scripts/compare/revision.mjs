// Which Weightcast was measured.
import { spawnSync } from 'node:child_process';
import { root } from '../testing/shell.mjs';

/** The commit, and whether there are changes beside it. */
export function revision() {
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim() ?? '';
  return `${git('rev-parse', 'HEAD')}${git('status', '--porcelain') === '' ? '' : ' with changes'}`;
}
