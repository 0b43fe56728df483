/** Proves the TCP transport by using it: one transfer over loopback, through the addon's own server and lane. */
import type { NativeLane, NativeModule, NativeRegion, NativeTcpServer } from '../../native.js';

export interface TcpCheck {
  readonly ok: boolean;
  /** Why not; `''` when it works. */
  readonly reason: string;
}

const bytes = 64 * 1024;
const timeoutMs = 5000;

export async function checkTcp(addon: NativeModule): Promise<TcpCheck> {
  const regions: NativeRegion[] = [];
  let server: NativeTcpServer | undefined;
  let lane: NativeLane | undefined;
  try {
    const source = await addon.allocate(BigInt(bytes), 'never');
    regions.push(source);
    const target = await addon.allocate(BigInt(bytes), 'never');
    regions.push(target);
    const wanted = Buffer.from(source.view(0n, bytes));
    for (let index = 0; index < bytes; index += 4) wanted.writeUInt32LE(Math.imul(index, 0x9e3779b1) >>> 0, index);
    server = await addon.listenTcp('127.0.0.1', 0, 1);
    const length = BigUint64Array.of(BigInt(bytes));
    const address = BigUint64Array.of(source.address);
    server.serve([source], address, length);
    lane = await addon.connectTcpLane({
      name: 'check',
      host: '127.0.0.1',
      port: server.port,
      protocolVersion: 1,
      connectTimeoutMs: timeoutMs,
      stallTimeoutMs: timeoutMs,
    });
    const transfer = addon.startTransfer({
      remoteAddress: address,
      length,
      localOffset: BigUint64Array.of(0n),
      region: Uint32Array.of(0),
      regions: [target],
      bufferAddress: address,
      bufferLength: length,
      lanes: [lane],
      sliceBytes: bytes,
      maxSegments: 1,
      merge: true,
    });
    const { fault } = await transfer.done;
    if (fault !== undefined) return { ok: false, reason: fault.message };
    const arrived = Buffer.from(target.view(0n, bytes)).equals(wanted);
    return { ok: arrived, reason: arrived ? '' : 'the bytes that arrived differ from those sent' };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  } finally {
    await lane?.close();
    await server?.close();
    for (const region of regions) region.close();
  }
}
