import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { acceleratorSigns, checkAccelerators } from '#src/cli/doctor/accelerators.js';
import { loadedAddonPath, readSharedMemory } from '#src/cli/doctor/host.js';
import { checkLocal, readRestrictions } from '#src/cli/doctor/local-check.js';
import { readKernelRdma } from '#src/cli/doctor/kernel.js';
import { portLines, reportLines } from '#src/cli/doctor/render.js';
import type { DoctorReport } from '#src/cli/doctor/report.js';
import { acceleratorRows, distanceLines } from '#src/cli/doctor/render-accelerators.js';
import { verdictOf, verdictText } from '#src/cli/doctor/verdict.js';
import { native, type NativeDevicePort, type NativeLimits, type NativeRegion } from '#src/native.js';
import { dgx } from '../topology/trees.js';
import { fault, gidOf, NicDouble } from '../../support/nic-double.js';

const trees: string[] = [];
after(async () => {
  for (const tree of trees) await rm(tree, { recursive: true });
});

/** A file system with these files; a name that ends in a slash is a directory. */
async function tree(...paths: readonly string[]): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'weightcast-sys-'));
  trees.push(root);
  for (const path of paths) {
    await mkdir(path.endsWith('/') ? join(root, path) : dirname(join(root, path)), { recursive: true });
    if (!path.endsWith('/')) await writeFile(join(root, path), '');
  }
  return root;
}

describe('what doctor says of the kernel', () => {
  it('without RDMA', async () => {
    const facts = await readKernelRdma(await tree('sys/module/tcp_bbr/'));
    assert.deepEqual(facts.devices, []);
    assert.deepEqual(facts.modules, []);
    assert.match(facts.hint, /modprobe ib_uverbs/);
  });

  it('with the subsystem and no device', async () => {
    assert.match((await readKernelRdma(await tree('sys/class/infiniband/'))).hint, /rdma link add/);
  });

  it('with a device in a container that was not given it', async () => {
    const root = await tree('sys/class/infiniband/mlx5_0/', 'sys/module/ib_uverbs/');
    assert.match((await readKernelRdma(root)).hint, /--device=\/dev\/infiniband/);
    assert.match((await readKernelRdma(await tree('sys/class/infiniband/mlx5_0/'))).hint, /ib_uverbs is not loaded/);
  });

  it('with everything in place', async () => {
    const root = await tree(
      'sys/class/infiniband/rxe0/',
      'sys/class/infiniband/rxe1/',
      'sys/module/rdma_rxe/',
      'sys/module/ib_uverbs/',
      'sys/module/ext4/',
      'dev/infiniband/uverbs0',
      'dev/infiniband/rdma_cm',
    );
    assert.deepEqual(await readKernelRdma(root), {
      devices: ['rxe0', 'rxe1'],
      modules: ['ib_uverbs', 'rdma_rxe'],
      nodes: [{ path: '/dev/infiniband/uverbs0', usable: true }],
      hint: '',
    });
  });
});

describe('what doctor says of the host', () => {
  it('of accelerators it is what the kernel shows', async () => {
    assert.deepEqual(await acceleratorSigns(await tree('proc/driver/nvidia/version', 'dev/kfd')), [
      "NVIDIA's kernel driver",
      "AMD's kernel driver",
    ]);
    assert.deepEqual(await acceleratorSigns(await tree('tmp/')), []);
  });

  it('shared memory has a size where it is there', async () => {
    assert.equal(await readSharedMemory('/does/not/exist'), undefined);
    const facts = await readSharedMemory(tmpdir());
    assert.ok(facts !== undefined && facts.totalBytes >= facts.freeBytes && facts.totalBytes > 0n);
  });

  it('the addon is where the kernel has mapped it from', async () => {
    const maps = join(await tree('tmp/'), 'maps');
    await writeFile(
      maps,
      '7f00-7f01 r-xp 00000000 08:01 1  /usr/lib/libc.so.6\n7f02-7f03 r-xp 0 08:01 2  /opt/weightcast/build/Release/weightcast.node\n',
    );
    assert.equal(await loadedAddonPath(maps), '/opt/weightcast/build/Release/weightcast.node');
    assert.equal(await loadedAddonPath('/does/not/exist'), '');
  });
});

describe('what doctor says of reading on one host', () => {
  it('knows Yama and seccomp', async () => {
    const root = await tree('proc/sys/kernel/yama/ptrace_scope', 'proc/self/status');
    assert.deepEqual(await readRestrictions(root), { ptraceScope: undefined, seccomp: false });
    await writeFile(join(root, 'proc/sys/kernel/yama/ptrace_scope'), '1\n');
    await writeFile(join(root, 'proc/self/status'), 'NoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n');
    assert.deepEqual(await readRestrictions(root), { ptraceScope: 1, seccomp: true });
  });

  it('believes the other process only what it brings', async () => {
    const wrong = await checkLocal(native(), () => Promise.resolve({ sha256: '0'.repeat(64), reason: '' }));
    assert.match(wrong.descriptors, /differ/);
    assert.match(wrong.memory, /differ/);
    const failed = await checkLocal(native(), () => Promise.reject(new Error('spawn EAGAIN')));
    assert.match(failed.descriptors, /EAGAIN/);
  });
});

const unlimited: NativeLimits = {
  memlockSoft: undefined,
  memlockHard: undefined,
  ipcLock: false,
  available: 64_000_000_000n,
  hugePageSize: 2_097_152n,
  hugePagesFree: 0n,
};
const works = { ok: true, reason: '' };

describe('the verdict', () => {
  it('is none without the addon', () => {
    const verdict = verdictOf({ addonReason: 'not built', rdma: undefined, tcp: undefined, limits: undefined });
    assert.equal(verdict.transport, 'none');
    assert.match(verdictText(verdict), /nothing can be transferred here: not built/);
  });

  it('is tcp with the reason', () => {
    const rdma = { devices: [], softwareDevices: [], reason: 'libibverbs.so.1 is missing' };
    const verdict = verdictOf({ addonReason: '', rdma, tcp: works, limits: unlimited });
    assert.equal(verdictText(verdict), 'auto uses tcp; not rdma: libibverbs.so.1 is missing');
  });

  it('is none when TCP fails too', () => {
    const rdma = { devices: [], softwareDevices: [], reason: 'no device' };
    const verdict = verdictOf({ addonReason: '', rdma, tcp: { ok: false, reason: 'listen: EPERM' }, limits: unlimited });
    assert.equal(verdict.transport, 'none');
    assert.match(verdict.reason, /no device; and TCP does not work: listen: EPERM/);
  });

  it('calls software RDMA software', () => {
    const software = { devices: ['rxe0'], softwareDevices: ['rxe0'], reason: '' };
    assert.match(
      verdictText(verdictOf({ addonReason: '', rdma: software, tcp: works, limits: unlimited })),
      /rdma over rxe0 \(software RDMA/,
    );
    const hardware = { devices: ['mlx5_0'], softwareDevices: [], reason: '' };
    assert.equal(
      verdictText(verdictOf({ addonReason: '', rdma: hardware, tcp: works, limits: unlimited })),
      'auto uses rdma over mlx5_0, with peers that have it too',
    );
  });

  it('warns of a memlock limit, unless a capability lifts it', () => {
    const rdma = { devices: ['mlx5_0'], softwareDevices: [], reason: '' };
    const limits = { ...unlimited, memlockSoft: 8_388_608n, memlockHard: 8_388_608n };
    assert.match(verdictOf({ addonReason: '', rdma, tcp: works, limits }).warnings[0] ?? '', /only 8\.39 MB may be pinned/);
    assert.deepEqual(verdictOf({ addonReason: '', rdma, tcp: works, limits: { ...limits, ipcLock: true } }).warnings, []);
  });
});

const twoNodes = {
  nodes: [
    { node: 0, processors: '0-1', memory: true },
    { node: 1, processors: '', memory: false },
  ],
  nics: [
    { device: 'rxe0', node: 0, processors: '0-1', threadsReason: '', memoryReason: '' },
    { device: 'rxe1', node: -1, processors: '', threadsReason: 'unknown', memoryReason: 'unknown' },
  ],
  reason: '',
};

const port: NativeDevicePort = {
  device: 'rxe0',
  provider: 'rxe',
  software: true,
  firmware: '',
  port: 1,
  active: true,
  state: 'ACTIVE',
  linkLayer: 'Ethernet',
  lid: 0,
  activeMtu: 4096,
  rateGbps: 2.5,
  numaNode: -1,
  netdev: 'eth0',
  gids: [
    { index: 0, gid: 'fe:80', type: 'RoCE v2', netdev: 'eth0' },
    { index: 1, gid: '00:00', type: 'RoCE v2', netdev: 'eth0' },
  ],
  chosenGidIndex: 1,
  maxMessage: 8_388_608,
  maxSge: 32,
  maxInitiatorReads: 128,
  maxResponderReads: 128,
  maxQp: 1_048_560,
  maxMr: 524_287,
  maxMrBytes: 2n ** 64n - 1n,
  dmabuf: false,
  dmabufReason: 'the driver of RDMA device rxe0 does not import dma-bufs',
};

const driverless = {
  accelerators: [],
  drivers: [{ kind: 'cuda', path: '', version: '', reason: 'cannot load libcuda.so.1' }],
  peerMemory: '',
} as const;
const none = { ...driverless, ways: [], affinity: { nics: [], accelerators: [] } };

const gpu = {
  ...({ kind: 'cuda', ordinal: 0, name: 'NVIDIA H100', pciAddress: '0000:17:00.0', numaNode: 0, bytes: 80_000_000_000n } as const),
  ...{ dmabuf: false, dmabufReason: 'needs the open kernel modules' },
};
const found = {
  accelerators: [gpu],
  drivers: [{ kind: 'cuda', path: 'libcuda.so.1', version: '12.4', reason: '' }],
  peerMemory: 'nvidia_peermem',
} as const;

describe('what doctor says of accelerators', () => {
  it('without any, whose driver is missing and why', async () => {
    const addon = { ...native(), listAccelerators: () => Promise.resolve(driverless) };
    assert.deepEqual(await checkAccelerators(addon), none);
  });

  it('with one and no RDMA, that its memory goes through that of the host', async () => {
    let freed = 0;
    const close = (): void => {
      freed++;
    };
    const region = { close } as unknown as NativeRegion;
    const addon = { ...native(), listAccelerators: () => Promise.resolve(found), allocateOnDevice: () => Promise.resolve(region) };
    const { ways } = await checkAccelerators(addon, () => Promise.resolve({ nics: [], reason: 'no RDMA device' }));
    assert.deepEqual(ways, [{ accelerator: 'cuda:0', path: 'staging', reason: 'no RDMA device' }]);
    assert.equal(freed, 1);
  });

  it('with one and RDMA, which way was tried and worked, and why not a better one', async () => {
    const nic = new NicDouble('mlx5_0', gidOf(1));
    const asked: string[] = [];
    nic.beforeRegister = (_region, path) => {
      asked.push(path);
      if (path === 'dma-buf') throw fault('dma-buf: EOPNOTSUPP', 'REGISTRATION', 'ibv_reg_dmabuf_mr');
    };
    const region = { close: () => undefined } as unknown as NativeRegion;
    const addon = { ...native(), listAccelerators: () => Promise.resolve(found), allocateOnDevice: () => Promise.resolve(region) };
    const report = await checkAccelerators(addon, () => Promise.resolve({ nics: [nic], reason: '' }));
    assert.deepEqual(asked, ['dma-buf', 'peer-memory']);
    assert.equal(nic.registered.size, 0, 'nothing stays registered');
    assert.deepEqual(report.ways, [{ accelerator: 'cuda:0', path: 'peer-memory', reason: 'dma-buf: EOPNOTSUPP' }]);
    const text = acceleratorRows(report, [])
      .map((row) => row.join(' '))
      .join('\n');
    assert.match(text, /cuda:0 NVIDIA H100, 80\.00 GB, PCI 0000:17:00\.0, NUMA node 0/);
    assert.match(text, /dma-buf not exported: needs the open kernel modules/);
    assert.match(text, /RDMA reads and writes its memory by peer-memory \(tried\): dma-buf: EOPNOTSUPP/);
    assert.match(text, /cuda libcuda\.so\.1 12\.4/);
  });

  it('with some and RDMA, how far they are from each other, as a table', async () => {
    const { tree, accelerators, nics } = dgx();
    try {
      const all = { ...found, accelerators: accelerators.slice(0, 2).map((each) => ({ ...gpu, ...each })) };
      const region = { close: () => undefined } as unknown as NativeRegion;
      const addon = { ...native(), listAccelerators: () => Promise.resolve(all), allocateOnDevice: () => Promise.resolve(region) };
      const open = nics.slice(0, 3).map((name, index) => new NicDouble(name, gidOf(index + 1)));
      const { affinity } = await checkAccelerators(addon, () => Promise.resolve({ nics: open, reason: '' }), tree.root);
      assert.deepEqual(distanceLines(affinity).slice(2), [
        '          cuda:0  cuda:1',
        '  mlx5_0  PIX     PXB',
        '  mlx5_1  PXB     PIX',
        '  mlx5_2  NODE    NODE',
      ]);
      assert.deepEqual(distanceLines({ ...affinity, nics: [] }), []);
    } finally {
      tree.remove();
    }
  });

  it('with one whose memory cannot be had, why', async () => {
    const refuse = (): Promise<never> => Promise.reject(fault('cuMemAlloc: out of memory', 'OUT_OF_MEMORY', 'cuMemAlloc'));
    const addon = { ...native(), listAccelerators: () => Promise.resolve(found), allocateOnDevice: refuse };
    const { ways } = await checkAccelerators(addon, () => Promise.resolve({ nics: [], reason: 'none' }));
    assert.deepEqual(ways, [{ accelerator: 'cuda:0', path: 'none', reason: 'cuMemAlloc: out of memory' }]);
  });
});

describe('the text of doctor', () => {
  it('marks the chosen GID and calls rxe software', () => {
    const text = portLines(port).join('\n');
    assert.match(text, /^rxe0 port 1\n/);
    assert.match(text, /provider {2}rxe \(software: not RDMA hardware\)/);
    assert.match(text, /\* GID 1 {2}00:00 {2}RoCE v2/);
    assert.match(text, /^ {4}GID 0/m);
    assert.match(text, /MTU 4096/);
    assert.match(portLines({ ...port, chosenGidIndex: -1 }).join('\n'), /no GID fits/);
  });

  it('ends with the verdict, with and without the addon', () => {
    const report: DoctorReport = {
      node: { version: 'v20.20.2', nodeApi: '9', platform: 'linux', arch: 'x64', kernel: '6.1' },
      addon: { path: '', reason: 'not built' },
      kernelRdma: { devices: [], modules: [], nodes: [], hint: 'load it' },
      native: undefined,
      sharedMemory: undefined,
      address: '10.0.0.5',
      acceleratorSigns: [],
      verdict: verdictOf({ addonReason: 'not built', rdma: undefined, tcp: undefined, limits: undefined }),
    };
    const bare = reportLines(report);
    assert.equal(bare.at(-1), 'verdict: nothing can be transferred here: not built');
    assert.ok(bare.some((line) => /^addon +not loaded: not built$/.test(line)));

    const limits = { ...unlimited, memlockSoft: 8_388_608n };
    const rdma = { devices: ['rxe0'], softwareDevices: ['rxe0'], reason: '' };
    const full = reportLines({
      ...report,
      addon: { path: '/x/weightcast.node', reason: '' },
      native: {
        libibverbs: { path: 'libibverbs.so.1', reason: '' },
        ports: [port],
        portsReason: '',
        limits,
        memlockAdvice: 'ulimit -l unlimited',
        rdma,
        tcp: works,
        numa: twoNodes,
        accelerators: none,
        local: { descriptors: '', memory: 'EPERM', restrictions: { ptraceScope: 2, seccomp: true } },
      },
      verdict: verdictOf({ addonReason: '', rdma, tcp: works, limits }),
    });
    const text = full.join('\n');
    assert.match(text, /memlock +soft 8\.39 MB, hard unlimited, CAP_IPC_LOCK no/);
    assert.match(text, /fix +ulimit -l unlimited/);
    assert.match(text, /on this host +files and shared memory of a seed can be read/);
    assert.match(text, /memory +its other memory cannot be read: EPERM/);
    assert.match(text, /ptrace_scope 2 \(only with CAP_SYS_PTRACE\); a seccomp filter/);
    assert.match(text, /accelerators +none that can be used: weights go into host memory only/);
    assert.match(text, /NUMA +node 0: processors 0-1; node 1: no processors, no memory/);
    assert.match(text, /rxe0 +on node 0; memory for it goes to node 0; threads on processors 0-1/);
    assert.match(text, /rxe1 +on an unknown node; memory for it goes anywhere \(unknown\); threads anywhere \(unknown\)/);
    assert.match(text, /cuda +cannot load libcuda\.so\.1/);
    assert.match(text, /\nwarning: only 8\.39 MB may be pinned/);
    assert.match(full.at(-1) ?? '', /^verdict: auto uses rdma over rxe0 \(software RDMA/);
  });
});
