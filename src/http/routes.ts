/** What an HTTP port answers, by path. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Answers one request. The body of an answer to HEAD is dropped by the server, and what a handler throws or
 * rejects with becomes a 500. `url` has the path that the handler is registered for, and the query. A stream that writes
 * nothing for 30 s is ended.
 */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse, url: URL) => void | Promise<void>;

/** Handlers by exact path, for GET and HEAD: "/", "/livez", "/page.css". With a method before it for that one: "PUT /name". */
export type Routes = ReadonlyMap<string, HttpHandler>;
