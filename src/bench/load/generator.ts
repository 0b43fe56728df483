/** The program of a load generator: a process of its own, so that nothing else runs in it and its CPU time can be told. */
import { setMaxListeners } from 'node:events';
import { toWeightcastError } from '../../errors.js';
import { Drive } from './drive.js';
import type { FromGenerator, ToGenerator } from './job.js';

let stopping = new AbortController();
let drive: Drive | undefined;

function send(message: FromGenerator): void {
  process.send?.(message);
}

async function obey(message: ToGenerator): Promise<void> {
  if (message.type === 'stop') {
    stopping.abort();
    return;
  }
  if (message.type === 'prepare') stopping = new AbortController();
  const { signal } = stopping;
  // Every call under way listens to it.
  setMaxListeners(0, signal);
  try {
    if (message.type === 'prepare') {
      drive?.[Symbol.dispose]();
      drive = await Drive.prepare(message.job, signal);
      send({ type: 'ready' });
      return;
    }
    const load = await drive?.run(signal);
    end();
    if (load !== undefined) send({ type: 'done', load });
  } catch (error) {
    end();
    const { code, message: text } = toWeightcastError(error, { doing: 'bench' });
    send({ type: 'failed', code, message: text });
  }
}

function end(): void {
  drive?.[Symbol.dispose]();
  drive = undefined;
}

process.on('message', (message) => void obey(message as ToGenerator));
// Whoever started this process ends it, by closing the channel between them: at Ctrl-C too, which reaches the whole group.
process.on('disconnect', () => process.exit());
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);
