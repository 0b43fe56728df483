/** One thing that every server must do, whatever it stores its records in. */
import type { Peer } from '../p2p-calls.js';

/** The server is empty at first. A case rejects when the server does something else. */
export type Case = readonly [name: string, run: (peer: Peer) => Promise<void>];
