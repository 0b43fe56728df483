/** What limits a whole pull, and what to change; and what must be known to read its figures. */
import type { Link } from '../link/link.js';
import { linkNotes } from '../link/notes.js';
import type { ModelReport } from '../report/report.js';

type Figures = Pick<ModelReport, 'phases' | 'totalMs' | 'wireGBps' | 'ceilingGBps' | 'cpu' | 'tensors' | 'registrations'>;

const advice = {
  discover: 'the metadata server and the seed hand out the list of tensors: fewer and larger tensors make it shorter',
  prepare: 'memory is laid out and allocated: huge pages, or buffers of the program (into: tensors), make it shorter',
  register: 'memory is pinned for the NIC: fewer and larger regions, huge pages, or one region that stays registered make it shorter',
  connect: 'queue pairs or connections are opened: fewer of them make it shorter',
  wire: 'the bytes themselves',
  verify: 'checksums are computed over all that came, with every processor: more of them make it shorter',
  write: 'files are written',
} as const;

/** The longest phase, then what holds the wire phase up. */
export function modelFindings(figures: Figures, link: Link): string[] {
  const { phases, totalMs, wireGBps, ceilingGBps, cpu } = figures;
  const order = Object.keys(advice) as (keyof typeof advice)[];
  const [longest = 'wire'] = order.toSorted((a, b) => phases[b].median - phases[a].median);
  const share = percent(phases[longest].median / totalMs.median);
  const findings = [
    `the phase ${longest} takes most of a pull, ${phases[longest].median.toFixed(0)} ms, ${share} of it: ${advice[longest]}`,
  ];
  if (ceilingGBps !== null && wireGBps.median >= 0.95 * ceilingGBps) {
    findings.push(`on the wire the link limits it: ${percent(wireGBps.median / ceilingGBps)} of its ceiling`);
  } else if (cpu !== null && cpu.machineBusy >= 0.85) {
    const how =
      link.software || link.transport === 'tcp'
        ? 'with the two sides on two hosts, or RDMA hardware, they have less to do'
        : 'end other programs';
    findings.push(`on the wire processors limit it, this machine was ${percent(cpu.machineBusy)} busy: ${how}`);
  } else {
    findings.push('on the wire no measured figure says what limits it: bench read tells more, by size and depth');
  }
  return findings;
}

export function modelNotes(link: Link, scale: number): string[] {
  return [
    ...linkNotes(link),
    ...(scale === 1 ? [] : [`dimensions are divided by ${String(scale)}: the tensors are as many as the model has, and smaller`]),
    'the target reads into memory that it has just allocated, as a new replica does: pages that are touched for the first time are in the wire phase',
    'every byte was verified by the checksums of the seed, in the phase wire as far as it had come, then in the phase verify',
  ];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
