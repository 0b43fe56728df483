/** The load that a seed publishes with its heartbeats. */
import type { Logger } from '../../observe/logger.js';
import type { RailPort } from '../../rails.js';
import { PortTraffic, type PortTrafficOptions } from './port-traffic.js';
import { sampleRuntime } from './runtime-metrics.js';

/** 0 idle to 1 busy; `undefined`: nothing is known. */
export type SourceLoad = () => Promise<number | undefined>;

export interface SourceLoadOptions extends PortTrafficOptions {
  /** Ports that peers read over. */
  readonly ports: readonly RailPort[];
  /** Prometheus endpoint of the inference engine on the same accelerators. */
  readonly runtimeMetricsUrl?: string | undefined;
  readonly logger?: Logger;
}

/**
 * The busiest of the ports since the last call and of the engine now. What cannot be read says nothing, rather than 0: a seed
 * that knows nothing of itself must not look idle. Never rejects.
 */
export function sourceLoad(options: SourceLoadOptions): SourceLoad {
  const { ports, runtimeMetricsUrl: url, logger } = options;
  const traffic = ports.map((port) => new PortTraffic(port, options));
  return async () => {
    const samples = await Promise.all([
      ...traffic.map((port) => port.sample()),
      url === undefined ? undefined : sampleRuntime(url, logger),
    ]);
    const known = samples.filter((sample) => sample !== undefined);
    return known.length === 0 ? undefined : Math.max(...known);
  };
}
