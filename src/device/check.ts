/** What callers say of accelerators. */
import { WeightcastError } from '../errors.js';
import { isOrdinal, type DeviceId, type NativeDeviceId } from './device.js';
import { devicePathChoices } from './path.js';

/**
 * @param what begins the message: the call and the option.
 * @throws ERR_INVALID_ARGUMENT for anything but one kind with an ordinal.
 */
export function nativeDevice(device: DeviceId, what: string): NativeDeviceId {
  const entries: [string, unknown][] = Object.entries((device as Readonly<Record<string, unknown>> | null | undefined) ?? {});
  const [kind, ordinal] = entries[0] ?? [];
  if (entries.length === 1 && (kind === 'cuda' || kind === 'hip') && isOrdinal(ordinal)) return { kind, ordinal };
  throw new WeightcastError('ERR_INVALID_ARGUMENT', `${what}: expected { cuda: 0 } or { hip: 0 } but received ${JSON.stringify(device)}`);
}

/** @throws ERR_INVALID_ARGUMENT for what is no way to an accelerator's memory. */
export function checkDevicePathChoice(choice: string, call: string): void {
  if (devicePathChoices.some((each) => each === choice)) return;
  throw new WeightcastError(
    'ERR_INVALID_ARGUMENT',
    `${call}: expected ${devicePathChoices.join(', ')} for devicePath but received "${choice}"`,
  );
}
