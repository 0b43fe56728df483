/** What limits many targets of one seed, and what to change; and what must be known to read the figures. */
import type { Link } from '../link/link.js';
import { linkNotes } from '../link/notes.js';
import type { FanoutReport } from '../report/report.js';

type Figures = Pick<FanoutReport, 'aloneGBps' | 'totalGBps' | 'targets' | 'fairness' | 'cpu'>;

export function fanoutFindings(
  { aloneGBps, totalGBps, targets, fairness, cpu }: Figures,
  link: Link,
  ceilingGBps: number | null,
): string[] {
  const many = String(targets.length);
  const gain = totalGBps.median / aloneGBps.median;
  const findings: string[] = [];
  if (ceilingGBps !== null && totalGBps.median >= 0.95 * ceilingGBps) {
    findings.push(
      `the link limits ${many} targets: ${percent(totalGBps.median / ceilingGBps)} of its ceiling; more needs another seed (weightcast mirror)`,
    );
  } else if (cpu !== null && cpu.machineBusy >= 0.85) {
    findings.push(
      `processors limit ${many} targets, this machine was ${percent(cpu.machineBusy)} busy${link.transport === 'tcp' || link.software ? ' moving bytes' : ''}: put the targets on other hosts (--serve, --connect)`,
    );
  } else if (gain < 1.15) {
    findings.push(
      `${many} targets together are as fast as one alone (${gain.toFixed(2)} times): the seed's side is full; more needs another seed (weightcast mirror)`,
    );
  } else {
    findings.push(
      `${many} targets together are ${gain.toFixed(2)} times as fast as one alone, and no measured figure says what limits them: try more --targets`,
    );
  }
  if (fairness.median < 0.9)
    findings.push(`the targets are not served alike: fairness ${fairness.median.toFixed(2)}, where 1 is equal rates`);
  return findings;
}

export function fanoutNotes(link: Link): string[] {
  return [
    ...linkNotes(link),
    'all targets are pulls of one process, each with memory and connections or queue pairs of its own, and begin together',
    "a target's rate is over its own time on the wire; the total is over the time from the first start to the last end",
    'the buffer was compared byte by byte at every target after each round',
  ];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
