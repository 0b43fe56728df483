/** Reading of a socket that HTTP/2 has taken over. The one place of this folder that looks behind node:net's public interface. */
import type { Socket } from 'node:net';

/** What Node's sockets read and write through. */
interface Handle {
  readStop(): unknown;
  readStart(): unknown;
  readonly writeQueueSize: number;
}

/** Stops and resumes what comes in, below TLS and HTTP/2. */
export interface Tap {
  close(): void;
  /**
   * @returns false: not now, for bytes wait to be written. HTTP/2 itself does not read meanwhile, and does not notice when
   * somebody else does.
   */
  open(): boolean;
}

/** Undefined where a later Node keeps the handle elsewhere: the connection is read as its bytes come. */
export function tapOf(socket: Socket): Tap | undefined {
  if (handleOf(socket) === undefined) return undefined;
  return {
    close: () => void handleOf(socket)?.readStop(),
    open: () => {
      const handle = handleOf(socket);
      if (handle === undefined) return true;
      if (handle.writeQueueSize > 0) return false;
      handle.readStart();
      return true;
    },
  };
}

/** A closed socket has none. */
function handleOf(socket: Socket): Handle | undefined {
  const { _handle: handle } = socket as { _handle?: Partial<Handle> | null };
  const known =
    typeof handle?.readStop === 'function' && typeof handle.readStart === 'function' && typeof handle.writeQueueSize === 'number';
  return known ? (handle as Handle) : undefined;
}
