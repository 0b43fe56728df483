/** `/livez` and `/readyz`, for Kubernetes and load balancers. */
import { sendText } from '../http/answer.js';
import type { Routes } from '../http/routes.js';
import type { Readiness } from './readiness.js';

/**
 * Alive is who answers: a server whose store is gone must not be restarted for it. Ready is who serves and reaches
 * its store; the body says why not.
 */
export function probeRoutes(readiness: Readiness): Routes {
  return new Map([
    [
      '/livez',
      (_request, response) => {
        sendText(response, 200, 'ok\n');
      },
    ],
    [
      '/readyz',
      async (_request, response) => {
        const { ready, reason } = await readiness.check();
        sendText(response, ready ? 200 : 503, `${reason}\n`);
      },
    ],
  ]) satisfies Routes;
}
