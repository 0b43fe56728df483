/** Rails: the local RDMA NICs that one seed or pull uses, and why there are none if there are none. */
import { WeightcastError, toWeightcastError } from './errors.js';
import type { SegmentDevice } from './handshake/index.js';
import { native, type NativeDevicePort, type NativeNic } from './native.js';

export interface RailOptions {
  /** `rdma` makes a missing device an error; `auto` makes it a reason; `tcp` and `local` open none. */
  readonly transport: 'auto' | 'rdma' | 'tcp' | 'local';
  /** Device names; default all with an active port. */
  readonly devices?: readonly string[] | undefined;
  readonly gidIndex?: number | undefined;
}

/** A port of an RDMA device. */
export interface RailPort {
  readonly device: string;
  /** From 1. */
  readonly port: number;
}

/** Opened NICs. Whoever opened them closes them. */
export interface Rails {
  readonly nics: readonly NativeNic[];
  /** Where each of them is, in the same order. */
  readonly ports: readonly RailPort[];
  /** Devices of these that are software (rxe, siw): not RDMA hardware. */
  readonly softwareDevices: readonly string[];
  /** Why there is none; `''` when there is one. */
  readonly reason: string;
}

/**
 * Opens the NICs that the options ask for.
 * @throws ERR_RDMA_UNAVAILABLE (`rdma` and no stack or no active device), ERR_DEVICE_NOT_FOUND (a named device is not
 * here or not active, whatever the transport), ERR_VERBS.
 */
export async function openRails(options: RailOptions): Promise<Rails> {
  const without = { tcp: 'TCP was asked for', local: 'the local transport was asked for', auto: '', rdma: '' }[options.transport];
  if (without !== '') return { nics: [], ports: [], softwareDevices: [], reason: without };
  let ports: NativeDevicePort[];
  try {
    ports = await chosenPorts(options);
  } catch (error) {
    const ours = toWeightcastError(error);
    if (options.transport === 'rdma' || options.devices !== undefined) throw ours;
    return { nics: [], ports: [], softwareDevices: [], reason: ours.message };
  }
  const nics: NativeNic[] = [];
  try {
    for (const port of ports) nics.push(await native().openNic(port.device, port.port, options.gidIndex));
  } catch (error) {
    await closeRails({ nics });
    throw toWeightcastError(error, { doing: 'cannot open an RDMA device' });
  }
  return {
    nics,
    ports: ports.map(({ device, port }) => ({ device, port })),
    softwareDevices: ports.filter((port) => port.software).map((port) => port.device),
    reason: '',
  };
}

export async function closeRails(rails: Pick<Rails, 'nics'>): Promise<void> {
  await Promise.all(rails.nics.map((nic) => nic.close()));
}

/** The NICs as a segment descriptor lists them. */
export function segmentDevices(nics: readonly NativeNic[]): SegmentDevice[] {
  return nics.map(({ device, gid, lid }) => ({ name: device, gid, lid }));
}

async function chosenPorts(options: RailOptions): Promise<NativeDevicePort[]> {
  const ports = await native().listDevices();
  const active = ports.filter((port) => port.active);
  if (options.devices === undefined) {
    // One port a device: a second port of the same NIC shares its PCIe link and would not add bandwidth.
    const first = active.filter((port, index) => active.findIndex((other) => other.device === port.device) === index);
    if (first.length > 0) return first;
    const seen = ports.map((port) => `${port.device} port ${String(port.port)} is ${port.state}`).join(', ');
    throw new WeightcastError(
      'ERR_RDMA_UNAVAILABLE',
      ports.length === 0
        ? 'this machine has no RDMA device; use transport "tcp", or add one ("rdma link" lists them)'
        : `no RDMA device has an active port (${seen}); bring its link up`,
    );
  }
  return options.devices.map((name) => {
    const port = active.find((candidate) => candidate.device === name);
    if (port !== undefined) return port;
    const inactive = ports.find((candidate) => candidate.device === name);
    const here = ports.map((candidate) => candidate.device).join(', ') || 'none';
    throw new WeightcastError(
      'ERR_DEVICE_NOT_FOUND',
      inactive === undefined
        ? `RDMA device ${name} is not on this machine; devices here: ${here}`
        : `RDMA device ${name} is ${inactive.state}; bring its link up`,
    );
  });
}
