/** What `mirror` prints when it is ready. */
import type { MirrorSummary } from '../mirror/index.js';
import { formatBytes, formatMs, formatTable } from './format.js';
import { sourceText, transportText, verifiedText } from './pull-summary.js';
import { phasesText, seedSummaryLines } from './seed-summary.js';

export function mirrorSummaryLines(modelName: string, server: string | undefined, summary: MirrorSummary): string[] {
  const { source } = summary;
  const rows = [
    ['mirror of', sourceText(source)],
    ['read over', `${transportText(source)}, ${source.wireGBps.toFixed(3)} GB/s on the wire, ${formatMs(source.totalMs)} in all`],
    ['read', phasesText(source.phases)],
    ['verified', verified(summary)],
  ];
  const failed = source.attempts.map(({ workerId, code }) => `failed: worker ${workerId}: ${code}`);
  return [...formatTable(rows), ...failed, ...source.notes.map((note) => `note: ${note}`), ...seedSummaryLines(modelName, server, summary)];
}

function verified({ source }: MirrorSummary): string {
  const twice = source.verified?.bytesReadTwice ?? 0n;
  return `${verifiedText(source)}${twice === 0n ? '' : `; ${formatBytes(twice)} of it read twice`}`;
}
