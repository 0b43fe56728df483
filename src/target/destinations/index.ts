import type { Destination } from '../options.js';
import type { DestinationWriter } from './destination.js';
import { DirectoryDestination } from './directory.js';
import { MemoryDestination } from './memory.js';
import { OwnTensors } from './own-tensors.js';
import { SharedDestination } from './shared.js';

export type { DestinationWriter, FetchFile, Landing, Placement } from './destination.js';

/** @throws ERR_INVALID_ARGUMENT for a name that cannot be one. */
export function destinationWriter(into: Exclude<Destination, { readonly kind: 'mapped' }>): DestinationWriter {
  switch (into.kind) {
    case 'directory':
      return new DirectoryDestination(into.path);
    case 'shared':
      return new SharedDestination(into.name);
    case 'memory':
      return new MemoryDestination(true, into.on);
    case 'discard':
      return new MemoryDestination(false, into.on);
    case 'tensors':
      return new OwnTensors(into.tensors);
  }
}
