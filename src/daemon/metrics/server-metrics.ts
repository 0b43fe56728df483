/** The figures of one server: takes note of what happens, and asks for the rest when somebody looks. */
import type { OpenMetricsContentType, Registry } from 'prom-client';
import type { CallOutcome, ReaperAction, ServerObserver, StoreOperation } from '../../metadata/server/observer.js';
import type { StoreName } from '../../metadata/stores/store.js';
import type { CallLimit, ConnectionRefusal, EndpointObserver } from '../../rpc/endpoint-observer.js';
import { createFamilies, type Families } from './families.js';
import type { Routes } from '../../http/routes.js';
import { sendText } from '../../http/answer.js';

export interface ServerMetricsOptions {
  /** Of the package. */
  readonly version: string;
  readonly backend: StoreName;
  /** A label of `mx_build_info`. */
  readonly scheme: string;
}

/** What is counted when somebody looks; see `survey.ts`. */
export interface Survey {
  readonly ready: boolean;
  readonly storeUp: boolean;
  /** Workers by status; absent: the store did not say. */
  readonly sources?: ReadonlyMap<string, number>;
  /** Transfers by state. */
  readonly transfers: ReadonlyMap<string, number>;
}

/** What clients may call. Whatever else they ask for is `other`: labels must not be theirs to choose. */
const methods = new Set([
  'PublishMetadata',
  'ListSources',
  'GetMetadata',
  'UpdateStatus',
  'ReportTransfer',
  'GetHealth',
  'SendRequest',
  'Check',
  'Watch',
  'List',
  'ServerReflectionInfo',
]);

export class ServerMetrics implements ServerObserver, EndpointObserver {
  readonly #registry: Registry<OpenMetricsContentType>;
  readonly #families: Families;
  readonly #backend: StoreName;
  #survey: () => Promise<Survey> = () => Promise.resolve({ ready: false, storeUp: false, transfers: new Map() });

  private constructor(registry: Registry<OpenMetricsContentType>, families: Families, backend: StoreName) {
    this.#registry = registry;
    this.#families = families;
    this.#backend = backend;
  }

  static async create({ version, backend, scheme }: ServerMetricsOptions): Promise<ServerMetrics> {
    const prom = await import('prom-client');
    const registry = new prom.Registry<OpenMetricsContentType>();
    registry.setContentType(prom.Registry.OPENMETRICS_CONTENT_TYPE);
    prom.collectDefaultMetrics({ register: registry });
    new prom.Gauge({
      name: 'mx_build_info',
      help: 'What runs here; always 1.',
      labelNames: ['component', 'version', 'backend', 'scheme'],
      registers: [registry],
    }).set({ component: 'server', version, backend, scheme }, 1);
    return new ServerMetrics(registry, createFamilies(prom, registry), backend);
  }

  /** Who knows what is not counted as it happens; asked at every scrape. Must not reject. */
  onScrape(survey: () => Promise<Survey>): void {
    this.#survey = survey;
  }

  get routes(): Routes {
    return new Map([
      [
        '/metrics',
        async (_request, response) => {
          sendText(response, 200, await this.text(), this.#registry.contentType);
        },
      ],
    ]) satisfies Routes;
  }

  /** Everything, in OpenMetrics' text. */
  async text(): Promise<string> {
    const { ready, storeUp, sources, transfers } = await this.#survey();
    this.#families.ready.set(ready ? 1 : 0);
    this.#families.storeUp.set(storeUp ? 1 : 0);
    replace(this.#families.sources, 'status', sources ?? new Map());
    replace(this.#families.transfers, 'state', transfers);
    return this.#registry.metrics();
  }

  callStarted(method: string): void {
    this.#families.inFlight.inc({ method: known(method) });
  }

  callEnded(method: string, outcome: CallOutcome, seconds: number): void {
    const label = known(method);
    this.#families.inFlight.dec({ method: label });
    this.#families.requests.inc({ method: label, outcome });
    this.#families.requestSeconds.observe({ method: label }, seconds);
  }

  callRejected(method: string, outcome: CallOutcome): void {
    this.#families.requests.inc({ method: known(method), outcome });
  }

  storeOperation(op: StoreOperation, ok: boolean, seconds: number): void {
    const backend = this.#backend;
    this.#families.backendOps.inc({ backend, op, outcome: ok ? 'ok' : 'error' });
    this.#families.backendSeconds.observe({ backend, op }, seconds);
  }

  workerReaped(action: ReaperAction): void {
    this.#families.reaped.inc({ action });
  }

  connectionOpened(): void {
    this.#families.connections.inc();
    this.#families.connectionsAccepted.inc();
  }

  connectionClosed(): void {
    this.#families.connections.dec();
  }

  connectionRefused(reason: ConnectionRefusal): void {
    this.#families.connectionsRefused.inc({ reason });
  }

  callRefused(path: string, limit: CallLimit): void {
    const method = known(methodOf(path));
    this.#families.callsRefused.inc({ method, limit });
    this.#families.requests.inc({ method, outcome: 'overloaded' });
  }
}

/** `GetMetadata` of `/model_express.p2p.P2pService/GetMetadata`. */
export function methodOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function known(method: string): string {
  return methods.has(method) ? method : 'other';
}

/** Labels that are not there any more vanish. */
function replace<Label extends string>(
  gauge: { reset(): void; set(labels: Record<Label, string>, value: number): void },
  label: Label,
  values: ReadonlyMap<string, number>,
): void {
  gauge.reset();
  for (const [name, value] of values) gauge.set({ [label]: name } as Record<Label, string>, value);
}
