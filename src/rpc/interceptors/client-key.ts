/** Whose call it is, for everything that is counted by client. */
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { plainAddress } from '../plain-address.js';

/** What is needed of a call that an interceptor sees. */
export type IncomingCall = Pick<ServerInterceptingCallInterface, 'getConnectionInfo'>;

/** Where a call comes from. */
export type ConnectionInfo = ReturnType<IncomingCall['getConnectionInfo']>;

/** gRPC makes one connection info a call and hands it through every interceptor, so it stands for the call. */
const subjects = new WeakMap<object, string>();

/** Notes who authenticated the call; for the interceptor that authenticates, before it lets the metadata pass. */
export function setSubject(call: IncomingCall, subject: string): void {
  subjects.set(call.getConnectionInfo(), subject);
}

/** Who authenticated the call; undefined without authentication and before it. */
export function subjectOf(call: IncomingCall): string | undefined {
  return subjects.get(call.getConnectionInfo());
}

/** The client's address without port; `unknown` once the connection is gone. */
export function addressOf(call: IncomingCall): string {
  const { remoteAddress } = call.getConnectionInfo();
  return remoteAddress === undefined ? 'unknown' : plainAddress(remoteAddress);
}

/** What a client is counted under: `subject NAME` when it authenticated, else `address IP`. */
export function clientKey(call: IncomingCall): string {
  const subject = subjectOf(call);
  return subject === undefined ? `address ${addressOf(call)}` : `subject ${subject}`;
}
