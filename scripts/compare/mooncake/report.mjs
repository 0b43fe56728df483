// Runs of a Mooncake reader and ours as a table, beside a threshold.
import { compared, median, table } from '../statistics.mjs';

/**
 * Prints one workload's runs and what they come to.
 * @param {{ name: string, runs: { who: string, bytes: number, seconds: number, cpuSeconds: number, reads?: number,
 * seedCpuSeconds?: number, seedBusiestThreadSeconds?: number }[] }} measured
 * `cpuSeconds` of the reading process; `seedCpuSeconds` of the seed's; `reads` of ours
 * @param {number} leastRatio ours over theirs, by the medians of the rates
 * @param {string} over the transport, for people
 */
export function report({ name, runs }, leastRatio, over) {
  const of = (who) => runs.filter((entry) => entry.who === who);
  const rate = ({ bytes, seconds }) => bytes / seconds / 1e9;
  const cpu = ({ bytes, cpuSeconds }) => cpuSeconds / (bytes / 1e9);
  const seedCpu = ({ bytes, seedCpuSeconds }) => seedCpuSeconds / (bytes / 1e9);
  const [theirs, ours] = [of('mooncake'), of('weightcast')];
  const result = compared(ours.map(rate), theirs.map(rate));
  const withSeed = runs.every(({ seedCpuSeconds }) => seedCpuSeconds !== undefined);
  const seedHeading = withSeed ? ['seed'] : [];
  const rows = [['run', 'Mooncake GB/s', 'CPU s/GB', ...seedHeading, 'Weightcast GB/s', 'CPU s/GB', ...seedHeading, 'reads', 'ratio']];
  const one = (run) => [rate(run).toFixed(4), cpu(run).toFixed(2), ...(withSeed ? [seedCpu(run).toFixed(2)] : [])];
  result.pairwise.forEach((ratio, i) => rows.push([`${i + 1}`, ...one(theirs[i]), ...one(ours[i]), `${ours[i].reads}`, ratio.toFixed(2)]));
  const medianOf = (value) => ({ ours: median(ours.map(value)), theirs: median(theirs.map(value)) });
  const cpuSecondsPerGB = medianOf(cpu);
  const seedCpuSecondsPerGB = withSeed ? medianOf(seedCpu) : undefined;
  const medians = (who) => [
    result[who].toFixed(4),
    cpuSecondsPerGB[who].toFixed(2),
    ...(withSeed ? [seedCpuSecondsPerGB[who].toFixed(2)] : []),
  ];
  rows.push(['median', ...medians('theirs'), ...medians('ours'), '', result.ratio.toFixed(2)]);
  const holds = result.ratio >= leastRatio;
  const seedThread = (who) => median(who.map(({ seedBusiestThreadSeconds, seconds }) => seedBusiestThreadSeconds / seconds));
  const seedBusiestThread = withSeed ? { ours: seedThread(ours), theirs: seedThread(theirs) } : undefined;
  console.log(`\n${name}, over ${over}\n\n${table(rows)}\n`);
  console.log(`ratio of the medians ${result.ratio.toFixed(2)}, pairs from ${result.lowest.toFixed(2)} to ${result.highest.toFixed(2)}`);
  if (withSeed) {
    const percent = (share) => `${(100 * share).toFixed(0)} %`;
    const { ours: our, theirs: their } = seedBusiestThread;
    console.log(`the seed's busiest thread ran ${percent(their)} of the time while Mooncake read, ${percent(our)} while Weightcast did`);
  }
  console.log(`${holds ? 'holds' : 'FAILED'}: at least ${leastRatio.toFixed(2)} is asked for`);
  return { name, leastRatio, holds, ...result, cpuSecondsPerGB, seedCpuSecondsPerGB, seedBusiestThread, runs };
}
