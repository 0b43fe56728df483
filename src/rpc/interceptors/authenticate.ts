/** No call without a token that is let in. */
import { type Metadata, ServerInterceptingCall, type ServerInterceptingCallInterface, type ServerInterceptor, status } from '@grpc/grpc-js';
import { type Logger, silentLogger } from '../../observe/logger.js';
import { QuietLogger } from '../../observe/quiet-logger.js';
import type { Authenticator, Verdict } from '../../security/authenticator.js';
import { addressOf, setSubject } from './client-key.js';

/** Why a call was refused. */
export type AuthenticationRefusal = Exclude<Verdict['outcome'], 'accepted'>;

export interface AuthenticationOptions {
  readonly authenticator: Authenticator;
  /** Hears of refused calls, of each kind one in 10 s. Default: nobody. */
  readonly logger?: Logger;
  /** Called for each refused call, with its path: `/model_express.p2p.P2pService/ListSources`. */
  readonly onRefused?: (path: string, refusal: AuthenticationRefusal) => void;
}

/**
 * Probes of load balancers carry no token. Everything else needs one: reflection too, which tells what may be called, and
 * which ModelExpress' server does not have.
 */
const openServices = new Set(['model_express.health.HealthService', 'grpc.health.v1.Health']);

/**
 * Decides on the headers alone: of a call that is refused no byte of the request is read. Later interceptors know the caller
 * by `subjectOf`; neither they nor handlers see the token. It is looked at in every call, so that one that is taken back is
 * of no use on a connection that is open.
 */
export function authenticating(options: AuthenticationOptions): ServerInterceptor {
  const log = new QuietLogger(options.logger ?? silentLogger);
  return ({ path }, call) => {
    if (openServices.has(path.split('/')[1] ?? '')) return new ServerInterceptingCall(call);
    const decide = async (metadata: Metadata, pass: (metadata: Metadata) => void): Promise<void> => {
      const verdict = await verdictOn(metadata, options.authenticator);
      if (verdict.outcome === 'accepted') {
        setSubject(call, verdict.principal.subject);
        metadata.remove('authorization');
        pass(metadata);
        return;
      }
      refuse(call, verdict);
      options.onRefused?.(path, verdict.outcome);
      log.warn(verdict.outcome, 'a call is refused: who calls is not let in', {
        method: path,
        client: addressOf(call),
        why: verdict.outcome,
      });
    };
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({ onReceiveMetadata: (metadata, pass) => void decide(metadata, pass) });
      },
    });
  };
}

async function verdictOn(metadata: Metadata, authenticator: Authenticator): Promise<Verdict> {
  const token = bearerTokenOf(metadata.get('authorization')[0]);
  return token === undefined ? { outcome: 'unauthenticated' } : authenticator.authenticate(token);
}

/** `Bearer ` in any case, one space, and then the token, verbatim. */
function bearerTokenOf(header: string | Buffer | undefined): string | undefined {
  return typeof header === 'string' ? /^bearer (.+)$/is.exec(header)?.[1] : undefined;
}

/** ModelExpress' codes and messages, which its peers may look at. */
function refuse(call: ServerInterceptingCallInterface, verdict: Exclude<Verdict, { outcome: 'accepted' }>): void {
  switch (verdict.outcome) {
    case 'unauthenticated':
      call.sendStatus({ code: status.UNAUTHENTICATED, details: 'missing or invalid service account token' });
      return;
    case 'permission_denied':
      call.sendStatus({ code: status.PERMISSION_DENIED, details: verdict.message });
      return;
    case 'unavailable':
      call.sendStatus({ code: status.UNAVAILABLE, details: 'authentication backend unavailable' });
  }
}
