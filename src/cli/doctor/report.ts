/** Everything that `doctor` finds, gathered. */
import { toWeightcastError } from '../../errors.js';
import { defaultHost } from '../../handshake/index.js';
import { native, type NativeDevicePort, type NativeLimits, type NativeModule } from '../../native.js';
import { loadedAddonPath, readNodeFacts, readSharedMemory, type NodeFacts, type SharedMemoryFacts } from './host.js';
import { acceleratorSigns, checkAccelerators, type AcceleratorReport } from './accelerators.js';
import { readKernelRdma, type KernelRdma } from './kernel.js';
import { checkLocal, type LocalCheck } from './local-check.js';
import { checkRdma, type RdmaCheck } from './rdma-check.js';
import { checkTcp, type TcpCheck } from './tcp-check.js';
import { checkNuma, type NumaReport } from './numa.js';
import { verdictOf, type Verdict } from './verdict.js';

export interface DoctorReport {
  readonly node: NodeFacts;
  /** `reason` is why it cannot be loaded; `''` when it is. */
  readonly addon: { readonly path: string; readonly reason: string };
  readonly kernelRdma: KernelRdma;
  /** What needs the addon; undefined when that cannot be loaded. */
  readonly native: NativeReport | undefined;
  readonly sharedMemory: SharedMemoryFacts | undefined;
  /** Where peers would reach a seed of this host. */
  readonly address: string;
  /** What the kernel shows of accelerators. */
  readonly acceleratorSigns: readonly string[];
  readonly verdict: Verdict;
}

export interface NativeReport {
  readonly libibverbs: { readonly path: string; readonly reason: string };
  readonly ports: readonly NativeDevicePort[];
  /** Why devices cannot be listed; `''` when they can. */
  readonly portsReason: string;
  readonly limits: NativeLimits;
  /** How to raise the memlock limit; `''` when nothing needs to be raised. */
  readonly memlockAdvice: string;
  readonly rdma: RdmaCheck;
  readonly tcp: TcpCheck;
  /** NUMA nodes, and what a pull or a seed with all devices would do for them. */
  readonly numa: NumaReport;
  readonly accelerators: AcceleratorReport;
  /** Without a wire, between processes of this host. */
  readonly local: LocalCheck;
}

export async function gatherReport(): Promise<DoctorReport> {
  const { addon, reason } = loadAddon();
  const nativeReport = addon === undefined ? undefined : await gatherNative(addon);
  return {
    node: readNodeFacts(),
    addon: { path: await loadedAddonPath(), reason },
    kernelRdma: await readKernelRdma(),
    native: nativeReport,
    sharedMemory: await readSharedMemory(),
    address: await defaultHost(),
    acceleratorSigns: await acceleratorSigns(),
    verdict: verdictOf({ addonReason: reason, rdma: nativeReport?.rdma, tcp: nativeReport?.tcp, limits: nativeReport?.limits }),
  };
}

function loadAddon(): { addon: NativeModule | undefined; reason: string } {
  try {
    return { addon: native(), reason: '' };
  } catch (error) {
    return { addon: undefined, reason: toWeightcastError(error).message };
  }
}

async function gatherNative(addon: NativeModule): Promise<NativeReport> {
  const limits = addon.limits();
  const limited = limits.memlockSoft !== undefined && !limits.ipcLock;
  let ports: readonly NativeDevicePort[] = [];
  let portsReason = '';
  try {
    ports = await addon.listDevices();
  } catch (error) {
    portsReason = toWeightcastError(error).message;
  }
  return {
    libibverbs: addon.rdmaLibrary(),
    ports,
    portsReason,
    limits,
    memlockAdvice: limited ? addon.memlockAdvice(limits.available ?? 0n) : '',
    rdma: await checkRdma(addon),
    tcp: await checkTcp(addon),
    numa: await checkNuma(ports.map((port) => port.device)),
    accelerators: await checkAccelerators(addon),
    local: await checkLocal(addon),
  };
}
