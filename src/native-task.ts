import type { NativeProgress } from './native.js';

/** How often progress is sampled, ms: often enough for a smooth bar, too seldom to cost anything. */
const SAMPLE_MS = 100;

/** Work on native threads: a transfer or a checksum. */
export interface NativeTask<T> {
  readonly done: Promise<T>;
  progress(): NativeProgress;
  cancel(): void;
}

/**
 * Waits for a native task, cancels it when the signal fires and samples its progress meanwhile, and once more at the end.
 * Settles as the task does, which is after the task has let go of all memory.
 */
export async function settled<T>(
  task: NativeTask<T>,
  signal: AbortSignal | undefined,
  onProgress?: (bytes: bigint, totalBytes: bigint) => void,
): Promise<T> {
  const cancel = (): void => {
    task.cancel();
  };
  const sample = (): void => {
    const { bytes, totalBytes } = task.progress();
    onProgress?.(bytes, totalBytes);
  };
  if (signal?.aborted === true) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  const timer = onProgress === undefined ? undefined : setInterval(sample, SAMPLE_MS);
  try {
    const result = await task.done;
    sample();
    return result;
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', cancel);
  }
}
