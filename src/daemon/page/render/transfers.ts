/** What targets tell of their transfers, as a table. */
import { formatBytes, formatRate } from '../../../observe/progress-format.js';
import { cut, html, type Html, nothing } from '../html.js';
import type { TransferView } from '../view/transfers-view.js';
import { cell, code, pill, table, type Tone } from './parts.js';

const columns = ['Model', 'From → to', 'State', 'Progress', 'Rate', 'Elapsed'] as const;

export function transfersTable(rows: Html): Html {
  return table(
    'transfers',
    'Transfers: those that run, then the newest',
    columns,
    html`<tbody role="rowgroup" id="transfers" data-region>
      ${rows}
    </tbody>`,
  );
}

/** A row, since it stands in the table. */
export function noTransfers(address: string): Html {
  return html`<tr role="row" class="empty" data-key=" none">
    <td role="cell" colspan="${columns.length}">
      <h3>No transfer yet</h3>
      <p>Targets tell of their transfers while they pull:</p>
      <pre><code>weightcast pull --model-name my/model --server ${address} --out ./copy</code></pre>
    </td>
  </tr>`;
}

const states: Readonly<Record<TransferView['state'], { readonly tone: Tone; readonly text: string }>> = {
  running: { tone: 'busy', text: 'running' },
  lost: { tone: 'warn', text: 'lost' },
  done: { tone: 'good', text: 'done' },
  failed: { tone: 'bad', text: 'failed' },
};

export function transferRow(view: TransferView): Html {
  const { transfer, state, bytesPerSecond, elapsedMs } = view;
  const name = `transfer of ${cut(transfer.modelName, 80)} to ${cut(transfer.target, 80)}`;
  return html`<tr role="row" class="${state}" data-key="${transfer.transferId}" data-status="${state}" data-name="${name}">
    <th role="rowheader" scope="row" data-label="Model">
      ${cut(transfer.modelName, 200)} <span class="muted">rank ${transfer.workerRank}</span>
    </th>
    ${[
      cell('From → to', route(view)),
      cell('State', stateOf(view)),
      cell('Progress', progress(view)),
      cell('Rate', bytesPerSecond === undefined ? nothing : html`${formatRate(bytesPerSecond)}`),
      cell('Elapsed', elapsed(elapsedMs)),
    ]}
  </tr>`;
}

function route({ transfer: { workerId, target } }: TransferView): Html {
  const from = workerId === '' ? html`<span class="muted">not chosen</span>` : code(workerId);
  return html`${from} <span aria-hidden="true">→</span><span class="unseen">to</span> <strong>${cut(target, 80)}</strong>`;
}

function stateOf({ transfer: { transport, phase }, state }: TransferView): Html {
  const { tone, text } = states[state];
  const where = state === 'done' ? '' : phase;
  const details = [where, transports[transport] ?? transport].filter((part) => part !== '').join(' · ');
  return html`${pill(tone, text)} <span class="muted">${cut(details, 40)}</span>`;
}

const transports: Readonly<Record<string, string>> = { rdma: 'RDMA', tcp: 'TCP' };

function progress({ transfer: { error }, bytes, totalBytes, fraction, state }: TransferView): Html {
  const failure = error === '' ? nothing : html`<p class="error">${cut(error, 400)}</p>`;
  if (fraction === undefined) return failure;
  const percent = Math.floor(fraction * 100);
  const bar = state === 'done' ? nothing : html`<progress max="100" value="${percent}" aria-label="arrived"></progress> `;
  const of = bytes === totalBytes ? nothing : html` of ${formatBytes(totalBytes)}, ${percent} %`;
  return html`${bar}<span class="amount">${formatBytes(bytes)}${of}</span>${failure}`;
}

function elapsed(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${String(Math.floor(seconds / 60))} min ${String(seconds % 60).padStart(2, '0')} s`;
}
