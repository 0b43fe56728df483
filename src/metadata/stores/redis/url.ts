/** Addresses of Redis servers. */
import { WeightcastError } from '../../../errors.js';

/** `redis://user:secret@host` → `redis://***@host`: for logs and messages. */
export function maskUrl(url: string): string {
  return url.replace(/\/\/.*@/s, '//***@');
}

/** @throws ERR_INVALID_ARGUMENT for what is no address of a Redis server. */
export function checkUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const database = /^\/?\d*$/.test(parsed?.pathname ?? '');
  if ((parsed?.protocol === 'redis:' || parsed?.protocol === 'rediss:') && parsed.hostname !== '' && database) return;
  if (/^unix:\/\/([^/@]*@)?\/./.test(url)) return;
  const forms = 'redis://[user:password@]host[:port][/database], rediss://… for TLS, or unix:///path';
  throw new WeightcastError('ERR_INVALID_ARGUMENT', `Expected ${forms} for the Redis URL but received ${maskUrl(url)}`);
}
