/** Finds the addon's file. What to call in it is declared in `native.ts`. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WeightcastError } from './errors.js';

/** Names the addon's file itself; nothing else is tried then. */
export const NATIVE_PATH_VARIABLE = 'WEIGHTCAST_NATIVE';

/** Of this package, whether this file runs from `dist/` or from `src/`. */
const packageRoot = fileURLToPath(new URL('..', import.meta.url));

interface Attempt {
  readonly file: string;
  readonly reason: string;
}

/**
 * Loads the addon: the file that `WEIGHTCAST_NATIVE` names, else the first that is there and loads of
 * `prebuilds/PLATFORM-ARCH[-musl]/`, `build/Release/`, `build/Debug/`.
 * @param root - the package's folder; default this package's.
 * @returns what the addon exports: `NativeModule` of `native.ts`.
 * @throws ERR_NATIVE_UNAVAILABLE with every file that was tried, why each failed, on which system, and what to do.
 */
export function loadNative(root: string = packageRoot): unknown {
  const require = createRequire(import.meta.url);
  const attempts: Attempt[] = [];
  let cause: unknown;
  for (const file of candidates(root)) {
    if (!existsSync(file)) {
      attempts.push({ file, reason: 'no such file' });
      continue;
    }
    try {
      return require(file);
    } catch (error) {
      cause ??= error;
      attempts.push({ file, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new WeightcastError('ERR_NATIVE_UNAVAILABLE', explain(attempts), cause === undefined ? {} : { cause });
}

function candidates(root: string): string[] {
  const named = process.env[NATIVE_PATH_VARIABLE];
  if (named !== undefined && named !== '') return [resolve(named)];
  const at = (...parts: string[]): string => resolve(root, ...parts, 'weightcast.node');
  return [at('prebuilds', platformName()), at('build', 'Release'), at('build', 'Debug')];
}

function platformName(): string {
  const musl = process.platform === 'linux' && glibcVersion() === undefined ? '-musl' : '';
  return `${process.platform}-${process.arch}${musl}`;
}

/** `undefined` where Node runs on another C library, which on Linux is musl. */
function glibcVersion(): string | undefined {
  const report: typeof process.report & { excludeNetwork?: boolean } = process.report;
  const { excludeNetwork = false } = report;
  report.excludeNetwork = true; // else the report waits for the names of all peers
  try {
    const { header } = report.getReport() as { readonly header?: { readonly glibcVersionRuntime?: string } };
    return header?.glibcVersionRuntime;
  } finally {
    report.excludeNetwork = excludeNetwork;
  }
}

function explain(attempts: readonly Attempt[]): string {
  const glibc = process.platform === 'linux' ? glibcVersion() : undefined;
  const libc = process.platform !== 'linux' ? '' : glibc === undefined ? ', musl' : `, glibc ${glibc}`;
  const system = `${process.platform}-${process.arch}${libc}, Node ${process.versions.node}`;
  const tried = attempts.map(({ file, reason }) => `  ${file}: ${reason}`).join('\n');
  return `cannot load Weightcast's native addon (${system}). Tried:\n${tried}\n${advice()}`;
}

function advice(): string {
  if (process.platform !== 'linux') return 'Moving weights needs Linux; on other systems only the metadata client and server work.';
  if (process.env[NATIVE_PATH_VARIABLE]) return `${NATIVE_PATH_VARIABLE} names the file: correct it, or unset it to use the package's own.`;
  return (
    `Run "npm run build" in the package's folder (it needs a C++20 compiler, make, Python 3, and the headers of libibverbs and ` +
    `xxHash: libibverbs-dev, libxxhash-dev), or name a built file in ${NATIVE_PATH_VARIABLE}.`
  );
}
