/**
 * Accelerators for tests that run without one: the stand-in driver (test/standin), whose memory is of the host. What it shows is what
 * software does; hardware is for scripts/gpu-check.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Path of the driver library, built where that was not done. */
export function standInDriver(): string {
  // Several files of tests may ask at once.
  execFileSync('flock', ['build', 'scripts/build-standins'], { cwd: root, stdio: 'ignore' });
  return `${root}build/standins/libcuda.so.1`;
}
