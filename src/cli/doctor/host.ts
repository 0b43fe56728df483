/** Facts about this machine that decide how a pull goes, beside RDMA. */
import { access, readFile, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';

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

export interface GpuFacts {
  /** Always false: weights are read into host memory. */
  readonly supported: false;
  /** What was seen of GPUs and their ways to RDMA. */
  readonly seen: readonly string[];
}

const gpuSigns: readonly (readonly [string, string])[] = [
  ['proc/driver/nvidia/version', 'NVIDIA driver'],
  ['sys/module/nvidia_peermem', 'nvidia_peermem'],
  ['sys/module/nv_peer_mem', 'nv_peer_mem'],
  ['sys/module/gdrdrv', 'gdrdrv'],
  ['dev/kfd', 'AMD KFD'],
];

export async function readGpu(root = '/'): Promise<GpuFacts> {
  const seen: string[] = [];
  for (const [path, name] of gpuSigns) {
    const there = await access(join(root, path)).then(
      () => true,
      () => false,
    );
    if (there) seen.push(name);
  }
  return { supported: false, seen };
}

/** Path of the addon's `.node` file, once it is loaded, as the kernel has it mapped; `''` where that cannot be seen. */
export async function loadedAddonPath(maps = '/proc/self/maps'): Promise<string> {
  const text = await readFile(maps, 'utf8').catch(() => '');
  const paths = text.split('\n').map((line) => /\s(\/.*weightcast.*\.node)$/.exec(line)?.[1]);
  return paths.find((path) => path !== undefined) ?? '';
}
