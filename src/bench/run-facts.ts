/** What every report says of the run that it is of. */
import { commandLine } from './command-line.js';
import { machineFacts, type MachineFacts } from './machine.js';

export interface RunFacts {
  /** ISO 8601. */
  readonly startedAt: string;
  readonly tookMs: number;
  /** Without passwords. */
  readonly commandLine: string;
  /** As it was before anything was measured. */
  readonly machine: MachineFacts;
}

/** A run that begins when this is made. */
export class Run {
  readonly machine = machineFacts();
  readonly #startedAt = new Date();
  readonly #started = performance.now();

  /** Asked at the end: the time until now is what it took. */
  facts(): RunFacts {
    const { machine } = this;
    const tookMs = performance.now() - this.#started;
    return { startedAt: this.#startedAt.toISOString(), tookMs, commandLine: commandLine(process.argv.slice(2)), machine };
  }
}
