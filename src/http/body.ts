/** What comes with a request. */
import type { IncomingMessage } from 'node:http';

/**
 * All of it, or `undefined` when that is more than `maxBytes`; no more than that is ever held. How long it may take is the
 * listener's business. @throws what the connection breaks with.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
