/** What commands that offer weights have in common: ready, until a signal comes or the server has lost them for good, stopped. */
import type { WeightcastError } from '../errors.js';
import type { TcpServed } from '../seed/index.js';
import { ExitCode } from './exit-codes.js';
import type { CommandContext } from './run.js';
import { tcpServedText } from './seed-summary.js';

/** Weights on offer. */
interface Offered {
  readonly summary: { readonly sourceId: string; readonly workerId: string };
  readonly tcpServed: TcpServed | undefined;
  close(): Promise<void>;
}

/**
 * @param start brings it up; `onLost` is what the seed calls when targets do not find it any more.
 * @param ready tells of it.
 * @param withdrawn resolves when whoever owns the weights takes them back, with why; default: nobody does.
 * @returns the exit code of the signal that ended it, 0 when they were taken back. @throws what `onLost` heard.
 */
export async function offerUntilSignal<Offer extends Offered>(
  context: CommandContext,
  start: (onLost: (error: WeightcastError) => void) => Promise<Offer>,
  ready: (offer: Offer) => void,
  withdrawn = new Promise<string>(() => undefined),
): Promise<ExitCode> {
  const { output, flags } = context;
  let onLost: (error: WeightcastError) => void = () => undefined;
  const lost = new Promise<never>((_resolve, reject) => {
    onLost = reject;
  });
  // It may come to that while nobody waits for it.
  lost.catch(() => undefined);
  const offer = await start(onLost);
  try {
    context.progress().finish();
    ready(offer);
    const readyAt = performance.now();
    const end = await Promise.race([
      context.untilSignal().then((exitCode) => ({ exitCode, reason: '' })),
      withdrawn.then((reason) => ({ exitCode: ExitCode.ok, reason })),
      lost,
    ]);
    await offer.close();
    const upMs = Math.round(performance.now() - readyAt);
    const { sourceId, workerId } = offer.summary;
    const { tcpServed } = offer;
    const told = { ...(tcpServed !== undefined && { tcpServed }), ...(end.reason !== '' && { reason: end.reason }) };
    if (flags.json === true) output.json({ event: 'stopped', sourceId, workerId, upMs, ...told });
    else {
      if (tcpServed !== undefined) output.line(tcpServedText(tcpServed));
      output.line(`stopped: worker ${workerId} does not serve any more${end.reason === '' ? '' : `: ${end.reason}`}`);
    }
    return end.exitCode;
  } finally {
    await offer.close();
  }
}
