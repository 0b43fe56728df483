/** Daemons in this process, and what is asked of them. */
import { request } from 'node:http';
import type { TestContext } from 'node:test';
import { fromFlags } from '#src/daemon/config/flags.js';
import { resolveConfig } from '#src/daemon/config/resolve.js';
import { Daemon } from '#src/daemon/daemon.js';
import { memoryLogger } from '../metadata/support.js';

/** As commander hands them over: camel-cased. */
export type Flags = Readonly<Record<string, unknown>>;

/** Free ports everywhere; stopped with the test. */
export async function startDaemon(test: TestContext, flags: Flags = {}): Promise<Daemon & { readonly log: readonly string[] }> {
  const free = { listen: '127.0.0.1:0', metricsPort: 'any', httpPort: 'any', logLevel: 'debug' };
  const { config } = await resolveConfig({ flags: fromFlags({ ...free, ...flags }), env: {} });
  const logger = memoryLogger();
  const daemon = await Daemon.start(config, logger);
  test.after(() => daemon.stop({ atOnce: true }));
  return Object.assign(daemon, { log: logger.lines });
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** One request on a connection of its own. */
export function ask(address: string | undefined, path: string, method = 'GET'): Promise<Answer> {
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(address ?? '') ?? [];
  return new Promise((done, failed) => {
    const call = request({ host, port, path, method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => {
        done({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
      response.on('error', failed);
    });
    call.on('error', failed);
    call.end();
  });
}
