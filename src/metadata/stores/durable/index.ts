/** A metadata store in a folder of this machine, for a single server that restarts without losing a source. */
import { type Logger, silentLogger } from '../../../observe/logger.js';
import type { MetadataStore } from '../store.js';
import { DurableStore } from './store.js';

export interface OpenDurableStoreOptions {
  /** Made where there is none. One process at a time may use it. */
  readonly folder: string;
  readonly logger?: Logger;
}

/**
 * Opens the folder and reads all that it holds. A publication is acknowledged when the device has it, a status when the
 * operating system has it. Entries that are damaged are left out, with a warning. While the disk is full, changes reject
 * and reads go on. The caller closes the store.
 *
 * @throws ERR_STORE when the folder is used by another process, cannot be created or written, is damaged as a whole, or
 * was written by a later release or another program, or when the package `classic-level` is not installed.
 */
export function openDurableStore({ folder, logger = silentLogger }: OpenDurableStoreOptions): Promise<MetadataStore> {
  return DurableStore.open(folder, logger);
}
