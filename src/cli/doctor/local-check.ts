/** Whether targets of this host could read a seed here without a wire: a process is started that does, from this one. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { toWeightcastError } from '../../errors.js';
import type { NativeModule, NativeRegion } from '../../native.js';
import type { ReadByTarget } from './local-target.js';

export interface LocalCheck {
  /** Why files and shared memory, which are read by descriptors, cannot be; `''` when they can. */
  readonly descriptors: string;
  /** Why other memory, which is read by process_vm_readv, cannot be; `''` when it can. */
  readonly memory: string;
  readonly restrictions: LocalRestrictions;
}

/** What the kernel has to say about one process reading another's memory. */
export interface LocalRestrictions {
  /** kernel.yama.ptrace_scope; undefined where there is no Yama. */
  readonly ptraceScope: number | undefined;
  /** Whether this process runs under a seccomp filter, as in most containers. */
  readonly seccomp: boolean;
}

const memoryBytes = 64 * 1024;
const timeoutMs = 10_000;

/** @param target runs in the other process, with the name and the token of a socket; replaced by tests. */
export async function checkLocal(addon: NativeModule, target = targetProcess): Promise<LocalCheck> {
  const restrictions = await readRestrictions();
  const descriptors = await tryOut(addon, target, async () => {
    const path = fileURLToPath(import.meta.url);
    const bytes = await readFile(path);
    return { region: await addon.mapFile(path, 0n, BigInt(bytes.length)), bytes };
  });
  const memory = await tryOut(addon, target, async () => {
    const region = await addon.allocate(BigInt(memoryBytes), 'never');
    const bytes = new Uint8Array(region.view(0n, memoryBytes));
    bytes.set(randomBytes(memoryBytes));
    return { region, bytes };
  });
  return { descriptors, memory, restrictions };
}

export async function readRestrictions(root = '/'): Promise<LocalRestrictions> {
  const scope = await readFile(join(root, 'proc/sys/kernel/yama/ptrace_scope'), 'utf8').catch(() => '');
  const status = await readFile(join(root, 'proc/self/status'), 'utf8').catch(() => '');
  return {
    ptraceScope: /^\d+\s*$/.test(scope) ? Number(scope) : undefined,
    seccomp: /^Seccomp:\s*2$/m.test(status),
  };
}

/** @returns why it does not work; `''` when it does. */
async function tryOut(
  addon: NativeModule,
  target: typeof targetProcess,
  make: () => Promise<{ region: NativeRegion; bytes: Uint8Array }>,
): Promise<string> {
  let region: NativeRegion | undefined;
  const socket = { name: `weightcast-${randomBytes(8).toString('hex')}`, token: randomBytes(32).toString('hex') };
  try {
    const made = await make();
    region = made.region;
    const server = await addon.listenLocal(socket.name, socket.token);
    try {
      server.serve([region], BigUint64Array.of(region.address), BigUint64Array.of(region.byteLength));
      const read = await target(socket.name, socket.token);
      if (read.reason !== '') return read.reason;
      const wanted = createHash('sha256').update(made.bytes).digest('hex');
      return read.sha256 === wanted ? '' : 'the bytes that arrived differ from those that are there';
    } finally {
      await server.close();
    }
  } catch (error) {
    return toWeightcastError(error).message;
  } finally {
    region?.close();
  }
}

/** A process of its own, since one may always read its own memory. */
async function targetProcess(name: string, token: string): Promise<ReadByTarget> {
  const program = fileURLToPath(new URL('local-target.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program, name, token], { timeout: timeoutMs });
  return JSON.parse(stdout) as ReadByTarget;
}
