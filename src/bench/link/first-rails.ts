/** `--rails N`. */
import { WeightcastError } from '../../errors.js';
import { closeRails, openRails } from '../../rails.js';

/** Names of the first RDMA devices with an active port. @throws ERR_RDMA_UNAVAILABLE, ERR_DEVICE_NOT_FOUND when they are fewer. */
export async function firstRails(count: number): Promise<string[]> {
  const rails = await openRails({ transport: 'rdma' });
  await closeRails(rails);
  const devices = rails.nics.map((nic) => nic.device);
  if (devices.length >= count) return devices.slice(0, count);
  throw new WeightcastError(
    'ERR_DEVICE_NOT_FOUND',
    `bench: --rails ${String(count)} was asked for, and this machine has ${String(devices.length)} with an active port: ${devices.join(', ')}`,
  );
}
