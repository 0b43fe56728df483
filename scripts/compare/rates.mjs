// Rates of ours beside those of peers, run by run, as a table with bars.
import { judged } from './record.mjs';
import { compared, median, table } from './statistics.mjs';

/**
 * Prints the runs and what they come to.
 * @param {string} name of what was read
 * @param {{ who: string, bytes: number, seconds: number }[]} runs of `us` and of every peer, as many each
 * @param {Record<string, number>} leastRatios ours over that of the peer, by the medians of the rates
 * @param {string} [us] who is compared with the peers
 */
export function reportRates(name, runs, leastRatios, us = 'weightcast') {
  const peers = Object.keys(leastRatios);
  const ratesOf = (wanted) => runs.filter(({ who }) => who === wanted).map(({ bytes, seconds }) => bytes / seconds / 1e9);
  const ours = ratesOf(us);
  const results = peers.map((peer) => ({ peer, leastRatio: leastRatios[peer], ...compared(ours, ratesOf(peer)) }));
  const rows = [['run', `${us} GB/s`, ...peers.flatMap((peer) => [`${peer} GB/s`, 'ratio'])]];
  for (const [index, rate] of ours.entries()) {
    rows.push([
      `${index + 1}`,
      rate.toFixed(4),
      ...results.flatMap(({ peer, pairwise }) => [ratesOf(peer)[index].toFixed(4), pairwise[index].toFixed(3)]),
    ]);
  }
  rows.push(['median', median(ours).toFixed(4), ...results.flatMap(({ theirs, ratio }) => [theirs.toFixed(4), ratio.toFixed(3)])]);
  console.log(`\n${name}\n\n${table(rows)}\n`);
  const judgements = results.map(({ peer, leastRatio, ratio, lowest, highest }) =>
    judged(
      ratio >= leastRatio,
      `${ratio.toFixed(3)} of ${peer} (pairs ${lowest.toFixed(3)} to ${highest.toFixed(3)}), at least ${leastRatio.toFixed(2)} is asked for`,
    ),
  );
  return { name, holds: judgements.every(Boolean), results };
}
