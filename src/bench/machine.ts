/** What a measurement was made on. */
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { packageVersion } from '../version.js';

export interface MachineFacts {
  /** As the system names it; `unknown` where it does not. */
  readonly cpu: string;
  /** That this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly kernel: string;
  readonly node: string;
  readonly weightcast: string;
  /** Runnable processes over the last minute, before anything was measured: what else the machine was doing. */
  readonly loadAverage: number;
}

export function machineFacts(): MachineFacts {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    kernel: release(),
    node: process.version,
    weightcast: packageVersion(),
    loadAverage: loadavg()[0] ?? 0,
  };
}
