/** Noticing that a file has changed. */
import { statSync } from 'node:fs';

/**
 * A text that differs after a file was written, replaced (also through a symbolic link, as Kubernetes replaces mounted
 * secrets), removed or made. Never throws. Take it before reading: a change meanwhile is then seen at the next look.
 * Costs a system call of a few microseconds a file.
 */
export function stampOf(...files: readonly string[]): string {
  return files.map(stampOfOne).join(' ');
}

function stampOfOne(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(':');
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}
