/** One pull, start to end: who has the weights, in which order they are tried, and what came of it. */
import { randomBytes } from 'node:crypto';
import { toWeightcastError } from '../errors.js';
import { SourceIdentity } from '../gen/model_express/p2p.js';
import { defaultHost } from '../handshake/index.js';
import { MetadataClient } from '../metadata/client.js';
import { selectorOf } from '../metadata/selection/index.js';
import { TransferReporter } from '../metadata/transfers/reporter.js';
import { silentLogger } from '../observe/logger.js';
import { closeRails, openRails } from '../rails.js';
import { attempt, type AttemptContext } from './attempt.js';
import { findCandidates } from './candidates.js';
import { checkOptions } from './check-options.js';
import { destinationWriter, type DestinationWriter } from './destinations/index.js';
import { LocalEnd } from './local-end.js';
import type { PullOptions, PullProgress, PullResult } from './options.js';
import { PullClock } from './progress.js';
import { Scope } from './scope.js';
import { summarize } from './summary.js';
import { trySources } from './try-sources.js';

/** Sources that ModelExpress' targets try. */
const defaultMaxSources = 3;

/**
 * Leaves nothing behind when it rejects, always with an error of ours.
 * @param writer makes the destination of one attempt; default: what the options say.
 */
export async function runPull(
  options: PullOptions,
  report: (progress: PullProgress) => void,
  writer = () => destinationWriter(options.into),
): Promise<PullResult> {
  const scope = new Scope();
  try {
    checkOptions(options);
    const { logger = silentLogger, rank = 0, identity } = options;
    const client = new MetadataClient(options.server, { security: options.security, logger });
    scope.add(() => {
      client.close();
    });
    if (options.reportTransfers === false) return await steps(options, writer, client, report, undefined, scope);
    const reporter = new TransferReporter({ client, modelName: identity.modelName, rank, logger });
    try {
      const result = await steps(options, writer, client, report, reporter, scope);
      await reporter.end();
      return result;
    } catch (error) {
      await reporter.end(error);
      throw error;
    }
  } catch (error) {
    throw toWeightcastError(error, { doing: 'pull' });
  } finally {
    await scope.close();
  }
}

async function steps(
  options: PullOptions,
  writer: () => DestinationWriter,
  client: MetadataClient,
  report: (progress: PullProgress) => void,
  reporter: TransferReporter | undefined,
  scope: Scope,
): Promise<PullResult> {
  const { rank = 0, transport = 'auto', accelerator = '', waitMs = 0, logger = silentLogger, signal } = options;
  const identity = SourceIdentity.fromPartial(options.identity);
  const selector = selectorOf(options.selector, options);
  let chosen: 'rdma' | 'tcp' | undefined;
  const clock = new PullClock(signal, (progress) => {
    report(progress);
    reporter?.progress(progress.phase, chosen, progress.bytes, progress.totalBytes);
  });

  const workerId = options.workerId ?? randomBytes(4).toString('hex');
  const candidates = await clock.phase('discover', () =>
    findCandidates({ client, identity, rank, workerId, accelerator, selector, waitMs, signal }),
  );
  logger.debug('sources found', { selector: selector.name, workers: candidates.length, first: candidates[0]?.workerId });

  const rails = await openRails({ transport, devices: options.devices, gidIndex: options.gidIndex });
  scope.add(() => closeRails(rails));
  const local = await LocalEnd.open(options.host ?? (await defaultHost()), rails.nics);
  scope.add(() => local.close());

  const onTransport: AttemptContext['onTransport'] = (used) => {
    chosen = used;
  };
  const context = { options, writer, identity, client, rails, local, clock, onTransport };
  const { pulled, failed } = await trySources({
    candidates,
    maxSources: options.maxSources ?? defaultMaxSources,
    modelName: identity.modelName,
    signal,
    attempt: (candidate) => {
      chosen = undefined;
      reporter?.source(candidate.mxSourceId, candidate.workerId);
      return attempt(candidate, context);
    },
    onFailure: ({ workerId: worker, code, message, counted }) => {
      logger.warn(counted ? 'a source failed' : 'a source cannot be read', { worker, code, reason: message });
    },
  });
  return summarize(pulled, failed, { selector: selector.name, rails, clock });
}
