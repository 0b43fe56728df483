/** One pull, start to end: who has the weights, in which order they are tried, and what came of it. */
import { toWeightcastError } from '../errors.js';
import { defaultHost } from '../handshake/index.js';
import { silentLogger } from '../observe/logger.js';
import { Locality } from '../locality.js';
import { closeRails, openRails } from '../rails.js';
import { attempt, type AttemptContext } from './attempt.js';
import { checkOptions } from './check-options.js';
import { destinationWriter, type DestinationWriter } from './destinations/index.js';
import type { Discovery } from './discovery/discovery.js';
import { transportAsked, type TransportDecision } from './decide.js';
import { discoveryOf } from './discovery/index.js';
import { openCheckpoint } from './like.js';
import { LocalEnd } from './local-end.js';
import type { PullOptions, PullProgress, PullResult } from './options.js';
import { PullClock } from './progress.js';
import { Scope } from './scope.js';
import { summarize } from './summary.js';
import { trySources } from './try-sources.js';

/**
 * Leaves nothing behind when it rejects, always with an error of ours.
 * @param own makes the destination of one attempt; default: what the options say.
 */
export async function runPull(
  options: PullOptions,
  report: (progress: PullProgress) => void,
  own?: () => DestinationWriter,
): Promise<PullResult> {
  const writer = own ?? writerOf(options.into);
  const scope = new Scope();
  try {
    checkOptions(options);
    const discovery = discoveryOf(options);
    scope.add(() => {
      discovery.close();
    });
    try {
      const result = await steps(options, writer, discovery, report, scope);
      await discovery.reporter?.end();
      return result;
    } catch (error) {
      await discovery.reporter?.end(error);
      throw error;
    }
  } catch (error) {
    throw toWeightcastError(error, { doing: 'pull' });
  } finally {
    await scope.close();
  }
}

/** None where nothing is written. */
function writerOf(into: PullOptions['into']): (() => DestinationWriter) | undefined {
  return into.kind === 'mapped' ? undefined : () => destinationWriter(into);
}

async function steps(
  options: PullOptions,
  writer: (() => DestinationWriter) | undefined,
  discovery: Discovery,
  report: (progress: PullProgress) => void,
  scope: Scope,
): Promise<PullResult> {
  const { logger = silentLogger, signal } = options;
  const { reporter } = discovery;
  let chosen: TransportDecision['transport'] | undefined;
  const clock = new PullClock(signal, (progress) => {
    report(progress);
    reporter?.progress(progress.phase, chosen, progress.bytes, progress.totalBytes);
  });

  const { like, candidates } = await clock.phase('discover', async () => ({
    like: options.like === undefined ? undefined : await openCheckpoint(options.like, signal),
    candidates: await discovery.find(),
  }));

  const rails = await openRails({ transport: transportAsked(options), devices: options.devices, gidIndex: options.gidIndex });
  scope.add(() => closeRails(rails));
  const locality = await Locality.of(rails.nics.map((nic) => nic.device));
  const local = await LocalEnd.open(options.host ?? (await defaultHost()), rails.nics);
  scope.add(() => local.close());

  const onTransport: AttemptContext['onTransport'] = (used) => {
    chosen = used;
  };
  const context = { options, writer, discovery, like, rails, locality, local, clock, onTransport };
  const { pulled, failed } = await trySources({
    candidates,
    maxSources: discovery.maxSources,
    subject: discovery.subject,
    signal,
    attempt: (candidate) => {
      chosen = undefined;
      reporter?.source(candidate.sourceId, candidate.workerId);
      return attempt(candidate, context);
    },
    onFailure: ({ workerId: worker, code, message, counted }) => {
      logger.warn(counted ? 'a source failed' : 'a source cannot be read', { worker, code, reason: message });
    },
  });
  return summarize(pulled, failed, { discovery, rails, locality, clock });
}
