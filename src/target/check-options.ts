import { checkDevicePathChoice } from '../device/check.js';
import { WeightcastError } from '../errors.js';
import { parseAddress } from '../handshake/index.js';
import { parseDtype, tensorBytes } from '../model/dtypes.js';
import { destinationWriter } from './destinations/index.js';
import type { PullOptions } from './options.js';
import { kindOf, type FromSession, type SessionTensor } from './origins.js';

/**
 * What can be wrong with the options alone, found before anybody is asked for anything.
 * @throws ERR_INVALID_ARGUMENT.
 */
export function checkOptions(options: PullOptions): void {
  const kind = kindOf(options);
  const { into, transferTimeoutMs } = options;
  // Made and dropped: it opens nothing before it is prepared.
  if (into.kind === 'mapped') checkMapped(options);
  else destinationWriter(into);
  if (transferTimeoutMs !== undefined && !(transferTimeoutMs > 0)) {
    throw wrong(`Expected a positive number of milliseconds for transferTimeoutMs but received ${String(transferTimeoutMs)}`);
  }
  checkDevicePath(options);
  if (kind === 'server') checkMaxSources(options as { readonly maxSources?: number });
  if (kind === 'session') checkSession((options as FromSession).session);
}

/** A way to an accelerator's memory that can be had over RDMA only, or is for no accelerator. */
function checkDevicePath({ into, devicePath = 'auto', transport = 'auto' }: PullOptions): void {
  checkDevicePathChoice(devicePath, 'pull');
  if (devicePath === 'auto') return;
  const on = into.kind === 'memory' || into.kind === 'discard' ? into.on : undefined;
  if (into.kind !== 'tensors' && on === undefined)
    throw wrong(`pull: devicePath "${devicePath}" is for an accelerator's memory, and these weights do not go into one`);
  if (devicePath !== 'staging' && (transport === 'tcp' || transport === 'local')) {
    throw wrong(`pull: devicePath "${devicePath}" needs RDMA, and transport "${transport}" was asked for; it stages`);
  }
}

function checkMapped({ transport = 'auto', verify }: PullOptions): void {
  if (transport !== 'auto' && transport !== 'local') throw wrong(`pull: only the local transport maps, and ${transport} was asked for`);
  if (verify === 'twice') throw wrong('pull: what is mapped is not read, let alone twice; give verify true, false or "sampled"');
}

function checkMaxSources({ maxSources }: { readonly maxSources?: number }): void {
  if (maxSources !== undefined && !(Number.isInteger(maxSources) && maxSources >= 1)) {
    throw wrong(`Expected an integer, 1 or more, for maxSources but received ${String(maxSources)}`);
  }
}

function checkSession({ id, tensors }: FromSession['session']): void {
  parseAddress(id);
  if (tensors.length === 0) throw wrong(`Expected at least one tensor of session ${id} but received none`);
  const names = new Set<string>();
  for (const tensor of tensors) {
    const what = problemOf(tensor) ?? (names.has(tensor.name) ? 'is named twice' : undefined);
    if (what !== undefined) throw wrong(`pull: tensor ${JSON.stringify(tensor.name)} of session ${id} ${what}`, tensor.name);
    names.add(tensor.name);
  }
}

function problemOf({ name, address, bytes, dtype, shape }: SessionTensor): string | undefined {
  if (name === '') return 'has no name';
  if (address < 0n || bytes < 0n || address + bytes > 1n << 64n) {
    return `is at ${String(address)} with ${String(bytes)} bytes, outside of the address space`;
  }
  if (dtype === undefined) return undefined;
  const known = parseDtype(dtype);
  if (known === undefined) return `has the unknown dtype ${JSON.stringify(dtype)}`;
  const size = shape === undefined ? bytes : tensorBytes(known, shape);
  return size === bytes ? undefined : `has ${String(bytes)} bytes, but ${dtype} and its shape make ${String(size)}`;
}

function wrong(text: string, tensor?: string): WeightcastError {
  return new WeightcastError('ERR_INVALID_ARGUMENT', text, { tensor });
}
