/** The files of the page that never change while the server runs. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { HttpHandler, Routes } from '../../http/routes.js';
import { stylesheet } from './styles/index.js';

/** Compiled from `browser/`; modules import each other by these paths. */
const scripts = ['page.js', 'page/age-text.js', 'page/announce.js', 'page/patch.js', 'page/stream.js'];

export function assetRoutes(): Routes {
  const read = (path: string): Buffer => readFileSync(new URL(`./browser/${path}`, import.meta.url));
  return new Map([
    ['/page.css', asset('text/css; charset=utf-8', Buffer.from(stylesheet))],
    ...scripts.map((path): [string, HttpHandler] => [`/${path}`, asset('text/javascript; charset=utf-8', read(path))]),
  ]);
}

/** Browsers keep it, and ask whether it is still the same. */
function asset(type: string, content: Buffer): HttpHandler {
  const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
  return (request, response) => {
    response.setHeader('cache-control', 'no-cache');
    response.setHeader('etag', etag);
    if (request.headers['if-none-match'] === etag) {
      response.statusCode = 304;
      response.end();
      return;
    }
    response.setHeader('content-type', type);
    response.setHeader('content-length', content.length);
    response.end(content);
  };
}
