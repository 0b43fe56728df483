/** A report as one page: no scripts, nothing loaded, readable on a phone and on paper. */
import { createHash } from 'node:crypto';
import type { Report } from '../report/report.js';
import { balance, latency, registrations, targets, throughput, timeline } from './figures.js';
import { Markup, markup } from './markup.js';
import { short, sizeText } from '../report/numbers.js';
import { style } from './style.js';
import { figuresTable } from './tables.js';

/** HTML that may be opened from a file or sent by a server with the strictest policy. */
export function reportPage(report: Report): string {
  const hash = createHash('sha256').update(style).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>weightcast bench ${report.benchmark}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<main>
<h1>weightcast bench ${report.benchmark}</h1>
<p>${headline(report)}</p>
<p class="quiet"><time datetime="${report.startedAt}">${report.startedAt.replace('T', ' ').slice(0, 16)} UTC</time> · ${report.machine.cpu}, ${report.machine.cores} cores</p>
${isSoftware(report) ? markup`<p class="warn">RDMA in software (Soft-RoCE): these are not figures of RDMA hardware.</p>` : ''}
<div class="charts">
${charts(report)}
</div>
<section><h2>What limits it</h2><ul>${report.findings.map((finding) => markup`<li>${finding}</li>`)}</ul></section>
<section><h2>Figures</h2>${figuresTable(report)}</section>
<section><h2>How to read them</h2><ul>${report.notes.map((note) => markup`<li>${note}</li>`)}</ul></section>
<section><h2>Measured with</h2><dl>${facts(report).map(([name, value]) => markup`<dt>${name}</dt><dd>${value}</dd>\n`)}</dl></section>
</main>
</body>
</html>
`;
  return page.text;
}

function isSoftware(report: Report): boolean {
  return report.benchmark === 'register' ? report.software : report.link.software;
}

function headline(report: Report): string {
  switch (report.benchmark) {
    case 'read': {
      const [best] = report.sizes.toSorted((a, b) => b.averageGBps - a.averageGBps);
      return best === undefined ? '' : `${short(best.averageGBps)} GB/s over ${report.link.transport}, in reads of ${sizeText(best.bytes)}`;
    }
    case 'model':
      return `${report.settings.shapes}: ${String(report.tensors)} tensors, ${short(report.bytes / 1e9)} GB in ${short(report.totalMs.median / 1000)} s, ${short(report.wireGBps.median)} GB/s over ${report.link.transport}`;
    case 'register':
      return `${String(report.tensors)} tensors, ${short(report.bytes / 1e9)} GB on ${report.device}: merged is ${short(report.mergedIsFasterBy)} times as fast`;
    case 'fanout':
      return `${String(report.targets.length)} targets, ${short(report.totalGBps.median)} GB/s together over ${report.link.transport}; fairness ${short(report.fairness.median)}`;
  }
}

function charts(report: Report): Markup[] {
  switch (report.benchmark) {
    case 'read': {
      const [largest] = report.sizes.toSorted((a, b) => b.bytes - a.bytes);
      const size = sizeText(largest?.bytes ?? 0);
      return [
        throughput(report),
        ...latency(report),
        balance(largest?.lanes ?? [], `Reads of ${size}`),
        timeline(
          report.timeline,
          `The middle one of the passes, in reads of ${size}. The seed's address is known here: nothing is discovered.`,
        ),
      ];
    }
    case 'model':
      return [timeline(report.timeline, 'The middle one of the repetitions.'), balance(report.lanes, 'All repetitions')];
    case 'register':
      return [registrations(report)];
    case 'fanout':
      return [targets(report)];
  }
}

function facts(report: Report): [string, string | Markup][] {
  const { machine, commandLine } = report;
  const link: [string, string][] =
    report.benchmark === 'register'
      ? [['Device', report.device]]
      : [
          [
            'Wire',
            [
              report.link.transport,
              ...report.link.rails.map(({ device, framing, mtu }) => `${device}, ${framing}, MTU ${String(mtu)}`),
            ].join(': '),
          ],
          ['Seed', report.seed === 'own process' ? 'a process of its own on this machine' : 'elsewhere'],
        ];
  return [
    ['Command', markup`<code>${commandLine}</code>`],
    ...link,
    ['Software', `weightcast ${machine.weightcast}, Node ${machine.node}, ${machine.platform}, kernel ${machine.kernel}`],
    ['Memory', `${short(machine.memoryBytes / 1e9)} GB`],
    ['Load before', machine.loadAverage.toFixed(2)],
  ];
}
