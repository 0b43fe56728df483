/** SIGHUP: certificates and tokens are read again when their files change, so there is nothing to do; ending would be wrong. */
import type { Logger } from '../observe/logger.js';

/** Until disposed, a hang-up is noted and does not end the process. */
export function ignoreHangups(logger: Logger): Disposable {
  const note = (): void => {
    logger.info('SIGHUP: certificates and tokens are read again when their files change; other settings need a restart');
  };
  process.on('SIGHUP', note);
  return { [Symbol.dispose]: () => void process.off('SIGHUP', note) };
}
