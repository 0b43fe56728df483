/** Workers and transfers as tables. */
import { css } from './css.js';

export const tables = css`
  table {
    width: 100%;
    border-collapse: collapse;
    table-layout: fixed;
    font-size: 0.875rem;
    font-variant-numeric: tabular-nums;
  }

  th,
  td {
    padding: 0.5rem 0.625rem;
    border-top: 1px solid var(--line);
    text-align: left;
    vertical-align: top;
    overflow-wrap: anywhere;
  }

  th:first-child,
  td:first-child {
    padding-left: 1.25rem;
  }

  th:last-child,
  td:last-child {
    padding-right: 1.25rem;
  }

  thead th {
    color: var(--muted);
    font-size: 0.8125rem;
    font-weight: 500;
    overflow-wrap: normal;
  }

  .card > table:first-child thead th {
    border-top: 0;
  }

  .workers th:nth-child(1) {
    width: 12%;
  }

  .workers th:nth-child(2) {
    width: 6%;
  }

  .workers th:nth-child(3) {
    width: 16%;
  }

  .workers th:nth-child(4) {
    width: 13%;
  }

  .workers th:nth-child(5) {
    width: 11%;
  }

  .workers th:nth-child(6) {
    width: 9%;
  }

  .workers th:nth-child(8) {
    width: 18%;
  }

  .transfers th:nth-child(1) {
    width: 22%;
  }

  .transfers th:nth-child(2) {
    width: 18%;
  }

  .transfers th:nth-child(3) {
    width: 18%;
  }

  .transfers th:nth-child(5) {
    width: 9%;
  }

  .transfers th:nth-child(6) {
    width: 9%;
  }

  tbody th {
    font-weight: 600;
  }

  tr.silent {
    box-shadow: inset 4px 0 var(--warn);
  }

  tr.silent .beat,
  tr.late .beat {
    color: var(--warn);
    font-weight: 600;
  }

  tr.stale td {
    color: var(--muted);
  }

  .pair,
  .load {
    white-space: nowrap;
  }

  meter,
  progress {
    height: 0.5rem;
    vertical-align: 0.0625rem;
    accent-color: var(--accent);
  }

  meter {
    width: 3rem;
  }

  meter::-webkit-meter-optimum-value {
    background: var(--accent);
  }

  meter::-moz-meter-bar {
    background: var(--accent);
  }

  progress {
    width: 100%;
    display: block;
    margin: 0.375rem 0 0.25rem;
  }

  tr.failed progress {
    accent-color: var(--bad);
  }

  .error {
    color: var(--bad);
    overflow-wrap: anywhere;
  }
`;
