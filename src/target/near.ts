/** Of the NICs in use, those that are nearest to the accelerators that are read into. */
import { native, type NativeNic } from '../native.js';
import { distanceOf, nearestTo, readAffinity, type Affinity } from '../topology/index.js';

/** Some of the NICs, and why not all. */
export interface NearNics {
  readonly nics: readonly NativeNic[];
  /** `''` when they are all. */
  readonly note: string;
}

/**
 * All that are nearest to any of `accelerators` (`cuda:0`): bytes that pass a processor's interconnect on their way slow each other down.
 * @param read finds out the distances; replaced by tests.
 */
export async function nearNics(nics: readonly NativeNic[], accelerators: readonly string[], read = readHere): Promise<NearNics> {
  if (nics.length < 2) return { nics, note: '' };
  const affinity = await read(nics.map((nic) => nic.device));
  const nearest = new Set(accelerators.flatMap((accelerator) => nearestTo(accelerator, affinity)));
  const [near, far] = [nics.filter((nic) => nearest.has(nic.device)), nics.filter((nic) => !nearest.has(nic.device))];
  return { nics: near, note: far.length === 0 ? '' : noteOf(near, far, accelerators, affinity) };
}

async function readHere(nics: readonly string[]): Promise<Affinity> {
  return readAffinity(nics, (await native().listAccelerators()).accelerators);
}

function noteOf(near: readonly NativeNic[], far: readonly NativeNic[], accelerators: readonly string[], affinity: Affinity): string {
  const named = (nics: readonly NativeNic[]): string =>
    nics.map(({ device }) => `${device} (${accelerators.map((each) => distanceOf(device, each, affinity)).join(', ')})`).join(', ');
  const verb = near.length === 1 ? 'is' : 'are';
  return (
    `${named(far)} left out: ${named(near)} ${verb} nearer to ${accelerators.join(', ')}; ` +
    'RDMA devices that are named are used wherever they are'
  );
}
