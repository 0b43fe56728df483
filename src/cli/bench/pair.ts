/** The other side of a benchmark: one that is started here, one that runs elsewhere, or we are it. */
import { processUsage } from '../../bench/server/usage.js';
import type { Offer, OfferOptions, Wire } from '../../bench/source/offer.js';
import type { StartedSeed, Target } from '../../bench/source/target.js';
import { Child } from '../child.js';
import type { ExitCode } from '../exit-codes.js';
import { formatBytes, formatCount } from '../format.js';
import type { CommandContext } from '../run.js';

const usualListen = '127.0.0.1:18515';

/** @param args of a `bench … --serve` that offers what is to be measured. */
export function targetOf(connect: string | undefined, args: readonly string[], wire: Wire): Target {
  if (connect !== undefined) return { address: connect };
  return { start: (signal) => startSeed([...args, '--serve', '--listen', '127.0.0.1:0', ...wireArguments(wire)], signal) };
}

function wireArguments({ transport, devices, gidIndex, host }: Wire): string[] {
  return [
    ...['--transport', transport],
    ...(devices === undefined ? [] : ['--device', devices.join(',')]),
    ...(gidIndex === undefined ? [] : ['--gid-index', String(gidIndex)]),
    ...(host === undefined ? [] : ['--host', host]),
  ];
}

/** Rejects with what the process reports when it cannot start. The caller disposes of it. */
async function startSeed(args: readonly string[], signal: AbortSignal): Promise<StartedSeed> {
  const child = new Child('the seed', args, false);
  // `process.exit` (a second Ctrl-C) runs no other cleanup.
  const atExit = (): void => {
    child.kill();
  };
  process.once('exit', atExit);
  const stop = async (): Promise<void> => {
    await child.stop();
    process.off('exit', atExit);
  };
  try {
    const { address } = await child.next(signal);
    return { address: String(address), usage: processUsage(child.pid), [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The body of `--serve`. */
export async function serve(
  offer: Omit<OfferOptions, 'listen' | 'signal' | 'logger'> & { readonly listen: string | undefined },
  { flags, output, signal, logger, untilSignal }: CommandContext,
): Promise<ExitCode> {
  const { openOffer } = await import('../../bench/source/offer.js');
  await using opened = await openOffer({ ...offer, listen: offer.listen ?? usualListen, signal, logger: await logger('warn') });
  const { address, summary } = opened;
  if (flags.json === true) output.json({ event: 'ready', address, name: offer.name, ...pick(summary) });
  else {
    output.line(
      `offering ${offer.name}, ${formatCount(summary.tensors)} tensors, ${formatBytes(summary.bytes)}, by ${summary.transports.join(' and ')}`,
    );
    output.line(`measure it from elsewhere with --connect ${address}`);
  }
  // Awaited here: what was opened is closed when this function is left.
  return await untilSignal();
}

function pick({ tensors, bytes, transports, devices, softwareDevices, transportReason }: Offer['summary']): object {
  return { tensors, bytes, transports, devices, softwareDevices, transportReason };
}
