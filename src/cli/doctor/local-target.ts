/** The other process of `doctor`: `node local-target.js SOCKET TOKEN` reads the one buffer that is served there, and prints what came. */
import { createHash } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { toWeightcastError } from '../../errors.js';
import { native } from '../../native.js';

export interface ReadByTarget {
  /** Of the bytes; `''` when there are none. */
  readonly sha256: string;
  /** Why there are none; `''` when there are. */
  readonly reason: string;
}

const connectTimeoutMs = 5000;

export async function readAsTarget(name: string, token: string): Promise<ReadByTarget> {
  try {
    const addon = native();
    const peer = await addon.connectLocal(name, token, connectTimeoutMs);
    const bytes = peer.bufferLength[0] ?? 1n;
    const region = await addon.allocate(bytes, 'never');
    const lane = peer.lane('check');
    try {
      const { fault } = await addon.startTransfer({
        remoteAddress: peer.bufferAddress,
        length: peer.bufferLength,
        localOffset: BigUint64Array.of(0n),
        region: Uint32Array.of(0),
        regions: [region],
        bufferAddress: peer.bufferAddress,
        bufferLength: peer.bufferLength,
        lanes: [lane],
        sliceBytes: 1 << 20,
        maxSegments: 1,
        merge: true,
      }).done;
      if (fault !== undefined) return { sha256: '', reason: fault.message };
      return {
        sha256: createHash('sha256')
          .update(new Uint8Array(region.view(0n, Number(bytes))))
          .digest('hex'),
        reason: '',
      };
    } finally {
      await lane.close();
      await peer.close();
      region.close();
    }
  } catch (error) {
    return { sha256: '', reason: toWeightcastError(error).message };
  }
}

const [, program, name, token] = process.argv;
if (program !== undefined && import.meta.url === pathToFileURL(program).href && name !== undefined && token !== undefined) {
  process.stdout.write(JSON.stringify(await readAsTarget(name, token)));
}
