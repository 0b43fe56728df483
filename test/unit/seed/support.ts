/** RDMA devices as sysfs would show them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface FakeSysfs {
  readonly folder: string;
  /** Writes files of a port, by their paths below it: `counters/port_xmit_data`. */
  write(device: string, port: number, files: Readonly<Record<string, string>>): Promise<void>;
  remove(device: string): Promise<void>;
}

export async function fakeSysfs(test: TestContext): Promise<FakeSysfs> {
  const folder = await mkdtemp(join(tmpdir(), 'weightcast-sysfs-'));
  test.after(() => rm(folder, { recursive: true, force: true }));
  return {
    folder,
    write: async (device, port, files) => {
      const ofPort = join(folder, device, 'ports', String(port));
      await mkdir(join(ofPort, 'counters'), { recursive: true });
      for (const [name, text] of Object.entries(files)) await writeFile(join(ofPort, name), `${text}\n`);
    },
    remove: (device) => rm(join(folder, device), { recursive: true }),
  };
}
