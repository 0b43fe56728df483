/**
 * The ports that pulls of this process listened on and no longer do. Seeds know a target by its `host:port`: Mooncake's keep the
 * queue pairs of a name until that name connects anew, and there is no message to end them. So the next pull takes the name
 * of one that has ended, and a process that pulls again and again costs its seeds no more than its pulls at the same time did.
 */
import { HandshakeListener, type HandshakeHandlers } from '../handshake/index.js';

/** By what seeds remember under the name: old ones keep the GIDs of the first time for ever. */
const idlePorts = new Map<string, number[]>();

/** A listener whose port may be taken again, by a pull of the same `identity`, once it is closed. */
export interface LocalListener {
  readonly port: number;
  close(): Promise<void>;
}

/** @throws ERR_IO when no port is free. */
export async function listenAgain(identity: string, handlers: HandshakeHandlers): Promise<LocalListener> {
  const idle = idlePorts.get(identity) ?? [];
  idlePorts.set(identity, idle);
  const listener = await onIdlePort(idle, handlers);
  const { port } = listener;
  let closed: Promise<void> | undefined;
  return {
    port,
    close: () =>
      (closed ??= listener.close().then(() => {
        idle.push(port);
      })),
  };
}

async function onIdlePort(idle: number[], handlers: HandshakeHandlers): Promise<HandshakeListener> {
  const host = '';
  const port = idle.pop();
  if (port === undefined) return HandshakeListener.listen({ host, handlers });
  // Another process may have it by now.
  return HandshakeListener.listen({ host, port, handlers }).catch(() => HandshakeListener.listen({ host, handlers }));
}
