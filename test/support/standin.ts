/** The stand-ins of test/standin, for processes that run in Node: built when missing, and looked into. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const built = path.join(root, 'build/standins');

/** The stand-in for NVIDIA's driver. */
export const standinDriver = path.join(built, 'libcuda.so.1');
/** libibverbs, with NICs that know the memory of that driver's devices. */
export const standinVerbs = path.join(built, 'libstandin-verbs.so');

/**
 * Lets this process, and what it starts from now on, find the stand-ins. Before its first use of either driver.
 * @param modes - see test/standin/cuda/standin.h.
 */
export function useStandins(modes: Readonly<Record<string, number>> = {}): void {
  if (!existsSync(standinDriver)) execFileSync(path.join(root, 'scripts/build-standins'), { stdio: 'inherit' });
  process.env['WEIGHTCAST_CUDA_LIB'] = standinDriver;
  process.env['WEIGHTCAST_IBVERBS_LIB'] = standinVerbs;
  process.env['WEIGHTCAST_STANDIN_MODE'] = Object.entries(modes)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}
