/**
 * Everything that is measured: ModelExpress' families by its names, and ours. Labels come from closed sets, so that no
 * client can make the scrape grow.
 */
import type * as Prom from 'prom-client';
import type { Counter, Gauge, Histogram, OpenMetricsContentType, Registry } from 'prom-client';

export interface Families {
  readonly requests: Counter<'method' | 'outcome'>;
  readonly requestSeconds: Histogram<'method'>;
  readonly inFlight: Gauge<'method'>;
  readonly backendOps: Counter<'backend' | 'op' | 'outcome'>;
  readonly backendSeconds: Histogram<'backend' | 'op'>;
  readonly sources: Gauge<'status'>;
  readonly storeUp: Gauge;
  readonly ready: Gauge;
  readonly connections: Gauge;
  readonly connectionsAccepted: Counter;
  readonly connectionsRefused: Counter<'reason'>;
  readonly callsRefused: Counter<'method' | 'limit'>;
  readonly reaped: Counter<'action'>;
  readonly transfers: Gauge<'state'>;
}

/** Heartbeats take a fraction of a millisecond, a model of 50 000 tensors tens of them, a lost Redis seconds. */
const buckets = [0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** @param prom the package, loaded by the caller: it is not loaded where nothing is measured. */
export function createFamilies(prom: typeof Prom, registry: Registry<OpenMetricsContentType>): Families {
  const registers = [registry];
  return {
    requests: new prom.Counter({
      name: 'mx_grpc_requests_total',
      help: 'Calls that have ended, by what the answer said.',
      labelNames: ['method', 'outcome'],
      registers,
    }),
    requestSeconds: new prom.Histogram({
      name: 'mx_grpc_request_seconds',
      help: 'Time from a call to its answer.',
      labelNames: ['method'],
      buckets,
      registers,
    }),
    inFlight: new prom.Gauge({
      name: 'mx_grpc_requests_in_flight',
      help: 'Calls that are being answered.',
      labelNames: ['method'],
      registers,
    }),
    backendOps: new prom.Counter({
      name: 'mx_backend_ops_total',
      help: 'Operations of the store.',
      labelNames: ['backend', 'op', 'outcome'],
      registers,
    }),
    backendSeconds: new prom.Histogram({
      name: 'weightcast_backend_op_seconds',
      help: 'Time of an operation of the store.',
      labelNames: ['backend', 'op'],
      buckets,
      registers,
    }),
    sources: new prom.Gauge({
      name: 'weightcast_sources',
      help: 'Published workers by status, as the store has them now.',
      labelNames: ['status'],
      registers,
    }),
    storeUp: new prom.Gauge({ name: 'weightcast_store_up', help: '1 when the store can be used.', registers }),
    ready: new prom.Gauge({ name: 'weightcast_ready', help: '1 when the server is ready, as /readyz has it.', registers }),
    connections: new prom.Gauge({ name: 'weightcast_connections', help: 'Open gRPC connections.', registers }),
    connectionsAccepted: new prom.Counter({
      name: 'weightcast_connections_accepted_total',
      help: 'gRPC connections that were let in.',
      registers,
    }),
    connectionsRefused: new prom.Counter({
      name: 'weightcast_connections_refused_total',
      help: 'gRPC connections that were closed at once or later because of what the peer did.',
      labelNames: ['reason'],
      registers,
    }),
    callsRefused: new prom.Counter({
      name: 'weightcast_calls_refused_total',
      help: 'Calls that a limit refused.',
      labelNames: ['method', 'limit'],
      registers,
    }),
    reaped: new prom.Counter({
      name: 'weightcast_reaper_actions_total',
      help: 'Silent workers marked STALE, and STALE workers removed.',
      labelNames: ['action'],
      registers,
    }),
    transfers: new prom.Gauge({
      name: 'weightcast_transfers',
      help: 'Transfers that targets reported and that are still remembered.',
      labelNames: ['state'],
      registers,
    }),
  };
}
