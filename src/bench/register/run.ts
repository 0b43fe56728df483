/** `bench register`: the same memory registered tensor by tensor, and in one piece. */
import type { NativeNic } from '../../native.js';
import { closeRails, openRails } from '../../rails.js';
import { placeTensors } from '../../model/tensor.js';
import { silentLogger } from '../../observe/logger.js';
import { Region } from '../../region.js';
import type { SeedContent } from '../../seed/content.js';
import type { ContentRange } from '../../seed/ranges.js';
import { register } from '../../seed/register.js';
import { throwIfAborted, toWeightcastError } from '../../errors.js';
import { Run } from '../run-facts.js';
import type { ShapeSetName } from '../model/names.js';
import { shapeSet } from '../model/shape-sets.js';
import { type RegisterReport, type RegisterRow, schemaVersion } from '../report/report.js';
import { requireMemory, totalBytes } from '../source/memory.js';
import { wipe } from '../source/content.js';
import { spreadOf } from '../statistics.js';

export interface RegisterBenchOptions {
  readonly shapes: ShapeSetName;
  /** Divides dimensions; 1: the published sizes. */
  readonly scale: number;
  readonly repetitions: number;
  /** Default: the first with an active port. */
  readonly device: string | undefined;
  readonly gidIndex: number | undefined;
  readonly signal: AbortSignal;
  /** What goes on, a line at a time. */
  readonly tell: (text: string) => void;
}

/** Rejects with ERR_RDMA_UNAVAILABLE, ERR_DEVICE_NOT_FOUND, ERR_MEMLOCK_LIMIT, ERR_REGISTRATION, ERR_OUT_OF_MEMORY, ERR_ABORTED. */
export async function benchRegister(options: RegisterBenchOptions): Promise<RegisterReport> {
  const clock = new Run();
  const rails = await openRails({
    transport: 'rdma',
    devices: options.device === undefined ? undefined : [options.device],
    gidIndex: options.gidIndex,
  });
  try {
    const [nic] = rails.nics;
    // openRails rejects rather than open none.
    if (nic === undefined) throw toWeightcastError(new Error('bench: no device was opened'));
    const software = rails.softwareDevices.includes(nic.device);
    const figures = await measure(nic, options);
    return {
      schemaVersion,
      benchmark: 'register',
      ...clock.facts(),
      device: nic.device,
      software,
      settings: { shapes: options.shapes, scale: options.scale, repetitions: options.repetitions },
      ...figures,
      findings: [
        `one registration in the place of ${String(figures.tensors)} is ${figures.mergedIsFasterBy.toFixed(1)} times as fast: place tensors into one region`,
      ],
      notes: [
        ...(software ? ['RDMA in software (Soft-RoCE): pinning is the same as with hardware, telling the NIC is not'] : []),
        'registered with REMOTE_READ, as a seed does; pages were touched before; deregistering is not in the times',
      ],
    };
  } finally {
    await closeRails(rails);
  }
}

async function measure(
  nic: NativeNic,
  { shapes, scale, repetitions, signal, tell }: RegisterBenchOptions,
): Promise<Pick<RegisterReport, 'tensors' | 'bytes' | 'ways' | 'mergedIsFasterBy'>> {
  const specs = shapeSet(shapes, scale);
  const bytes = totalBytes(specs);
  requireMemory(bytes, 'the memory to register');
  const tensors = placeTensors(specs).map(({ offset, bytes: length }) => ({ region: 0, offset, length }));
  using region = await Region.allocate(bytes);
  wipe(region);
  const merged = cut(bytes, nic.maxRegionBytes);
  const times = { 'per tensor': [] as number[], merged: [] as number[] };
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    tell(`round ${String(repetition)} of ${String(repetitions)}`);
    throwIfAborted(signal, 'bench');
    times['per tensor'].push(await timeOf(nic, region, tensors));
    times.merged.push(await timeOf(nic, region, merged));
  }
  const row = (way: RegisterRow['way'], registrations: number): RegisterRow => {
    const ms = spreadOf(times[way]);
    return { way, registrations, ms, usPerTensor: (ms.median / tensors.length) * 1000 };
  };
  const ways = [row('per tensor', tensors.length), row('merged', merged.length)] as const;
  return { tensors: tensors.length, bytes: Number(bytes), ways, mergedIsFasterBy: ways[0].ms.median / ways[1].ms.median };
}

/** What one registration may not have, several have. */
function cut(bytes: bigint, most: bigint): ContentRange[] {
  const ranges: ContentRange[] = [];
  for (let offset = 0n; offset < bytes; offset += most)
    ranges.push({ region: 0, offset, length: bytes - offset < most ? bytes - offset : most });
  return ranges;
}

/** ms, as a seed does it. Nothing stays registered. */
async function timeOf(nic: NativeNic, region: Region, ranges: readonly ContentRange[]): Promise<number> {
  const content: SeedContent = { regions: [region], tensors: [], weightFiles: [], modelFiles: [], close: () => undefined };
  const start = performance.now();
  const registered = await register([nic], content, ranges, silentLogger);
  const ms = performance.now() - start;
  await registered.close();
  return ms;
}
