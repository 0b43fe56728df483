/** Facts about this machine that decide how a pull goes, beside RDMA. */
import { readFile, statfs } from 'node:fs/promises';
import { release } from 'node:os';

export interface NodeFacts {
  readonly version: string;
  readonly nodeApi: string;
  readonly platform: string;
  readonly arch: string;
  readonly kernel: string;
}

export function readNodeFacts(): NodeFacts {
  const { version, versions, platform, arch } = process;
  return { version, nodeApi: versions.napi ?? '', platform, arch, kernel: release() };
}

export interface SharedMemoryFacts {
  readonly path: string;
  readonly totalBytes: bigint;
  readonly freeBytes: bigint;
}

/** The file system behind `pull --shm`; undefined when there is none. */
export async function readSharedMemory(path = '/dev/shm'): Promise<SharedMemoryFacts | undefined> {
  try {
    const { bsize, blocks, bavail } = await statfs(path, { bigint: true });
    return { path, totalBytes: blocks * bsize, freeBytes: bavail * bsize };
  } catch {
    return undefined;
  }
}

/** Path of the addon's `.node` file, once it is loaded, as the kernel has it mapped; `''` where that cannot be seen. */
export async function loadedAddonPath(maps = '/proc/self/maps'): Promise<string> {
  const text = await readFile(maps, 'utf8').catch(() => '');
  const paths = text.split('\n').map((line) => /\s(\/.*weightcast.*\.node)$/.exec(line)?.[1]);
  return paths.find((path) => path !== undefined) ?? '';
}
