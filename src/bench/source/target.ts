/** Whom a benchmark reads from. */
import type { UsageSource } from '../server/usage.js';

/** A seed that runs already, or one that is started for the benchmark, in a process of its own. */
export type Target = { readonly address: string } | { readonly start: (signal: AbortSignal) => Promise<StartedSeed> };

export interface StartedSeed extends AsyncDisposable {
  readonly address: string;
  /** Of its process. */
  readonly usage: UsageSource;
}

/** A seed that can be read. Disposing of it ends it, where it was started here. */
export interface OpenTarget extends AsyncDisposable {
  readonly address: string;
  readonly own: boolean;
  readonly usage: UsageSource | undefined;
}

export async function openTarget(target: Target, signal: AbortSignal): Promise<OpenTarget> {
  if ('address' in target) return { address: target.address, own: false, usage: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  const seed = await target.start(signal);
  return { address: seed.address, own: true, usage: seed.usage, [Symbol.asyncDispose]: () => seed[Symbol.asyncDispose]() };
}
