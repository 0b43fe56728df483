/** Which of the NICs in use read into accelerators themselves: the nearest that reach the seed. */
import { WeightcastError } from '../errors.js';
import type { SegmentDescriptor } from '../handshake/index.js';
import { native, type NativeNic } from '../native.js';
import { distanceOf, nearestTo, readAffinity, type Affinity } from '../topology/index.js';
import { pairRails, type RailPair } from './pairing.js';

/** What came of one try: `opened`, or why none of its NICs reaches the seed. */
export type Tried<T> = { readonly opened: T } | { readonly unreachable: WeightcastError };

export interface NearWire<T> {
  readonly opened: T;
  /** Which NICs read into the accelerators in place of nearer ones, and why; `''` when they are the first. */
  readonly instead: string;
  /** Which NICs are farther, and were left out; `''` when none is. */
  readonly leftOut: string;
}

/**
 * Tries NICs in order of distance: first all that are nearest to any of `accelerators` (`cuda:0`), since bytes that pass a processor's
 * interconnect on their way slow each other down; then, of those that have not been tried, again the nearest.
 * @param attempt registers and connects these pairs, of which one that connects is enough; leaves nothing open when none does.
 * @param read finds out the distances; replaced by tests.
 * @throws what `attempt` throws; when no NIC reaches the seed, the error of the nearest, with the others' in its message.
 */
export async function openNearest<T>(
  nics: readonly NativeNic[],
  accelerators: readonly string[],
  descriptor: SegmentDescriptor,
  attempt: (pairs: readonly RailPair[]) => Promise<Tried<T>>,
  read = readHere,
): Promise<NearWire<T>> {
  const affinity = nics.length < 2 ? undefined : await read(nics.map((nic) => nic.device));
  const named = (which: readonly NativeNic[]): string => which.map(({ device }) => distancesOf(device, accelerators, affinity)).join(', ');
  const failures: { readonly nics: string; readonly error: WeightcastError }[] = [];
  let untried = nics;
  while (untried.length > 0) {
    const near = nearestOf(untried, accelerators, affinity);
    const pairs = pairRails(near, descriptor);
    const paired = pairs.map(({ nic }) => nic);
    const tried = await attempt(pairs);
    if ('opened' in tried) {
      const far = untried.filter((nic) => !near.includes(nic));
      return {
        opened: tried.opened,
        instead: failures.length === 0 ? '' : insteadOf(named(paired), accelerators, failures),
        leftOut:
          far.length === 0 ? '' : `${named(far)} left out: ${named(near)} ${are(near)} nearer to ${accelerators.join(', ')}; ${advice}`,
      };
    }
    failures.push({ nics: named(paired), error: tried.unreachable });
    // Nearest ones that found no partner, the seed having fewer, come next.
    untried = pairs.length === 0 ? [] : untried.filter((nic) => !paired.includes(nic));
  }
  throw unreachable(failures);
}

const advice = 'RDMA devices that are named are used wherever they are';

async function readHere(nics: readonly string[]): Promise<Affinity> {
  return readAffinity(nics, (await native().listAccelerators()).accelerators);
}

function nearestOf(nics: readonly NativeNic[], accelerators: readonly string[], affinity: Affinity | undefined): readonly NativeNic[] {
  if (affinity === undefined) return nics;
  const devices = nics.map(({ device }) => device);
  const nearest = new Set(accelerators.flatMap((accelerator) => nearestTo(accelerator, affinity, devices)));
  return nics.filter(({ device }) => nearest.has(device));
}

/** `mlx5_0 (PIX, SYS)`: how far from each accelerator. */
function distancesOf(device: string, accelerators: readonly string[], affinity: Affinity | undefined): string {
  if (affinity === undefined) return device;
  return `${device} (${accelerators.map((each) => distanceOf(device, each, affinity)).join(', ')})`;
}

function are(nics: readonly NativeNic[]): string {
  return nics.length === 1 ? 'is' : 'are';
}

type Failures = readonly { readonly nics: string; readonly error: WeightcastError }[];

function insteadOf(used: string, accelerators: readonly string[], failures: Failures): string {
  const why = failures.map(({ nics, error }) => `${nics}: ${error.message}`).join('; ');
  return `read into ${accelerators.join(', ')} by ${used}, since what comes before does not reach the seed: ${why}`;
}

function unreachable(failures: Failures): WeightcastError {
  const [first, ...others] = failures;
  if (first === undefined) return new WeightcastError('ERR_INTERNAL', 'no RDMA device to try');
  const { error } = first;
  if (others.length === 0) return error;
  const farther = others.map(({ nics, error: { message } }) => `${nics}: ${message}`).join('; ');
  const { peer, syscall, errno } = error;
  return new WeightcastError(error.code, `${error.message}; nor do farther devices reach it: ${farther}`, {
    cause: error,
    peer,
    syscall,
    errno,
  });
}
