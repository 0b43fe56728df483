/** Narrow screens: a row becomes a block, with labels in place of the head. */
import { css } from './css.js';

export const narrow = css`
  @media (max-width: 60rem) {
    body {
      padding: 0 1rem 2rem;
    }

    .tiles {
      grid-template-columns: repeat(3, minmax(0, 1fr));
    }

    #filter {
      flex: 1 1 100%;
    }

    .verdict {
      font-size: 1.25rem;
    }

    table,
    tbody,
    tbody th,
    td {
      display: block;
    }

    thead {
      position: absolute;
      width: 1px;
      height: 1px;
      overflow: hidden;
      clip-path: inset(50%);
    }

    tr {
      display: flex;
      flex-wrap: wrap;
      align-items: baseline;
      gap: 0.125rem 1rem;
      padding: 0.75rem 1rem;
      border-top: 1px solid var(--line);
    }

    thead tr {
      border: 0;
      padding: 0;
    }

    tbody th:first-child,
    td,
    td:first-child,
    td:last-child {
      padding: 0;
      border: 0;
    }

    tbody th {
      flex: 1 1 30%;
    }

    .transfers tbody th {
      flex-basis: 60%;
    }

    /* Below the name and its status, a new line. */
    tbody tr::after {
      content: '';
      flex-basis: 100%;
      order: 1;
    }

    tr.empty::after {
      content: none;
    }

    td[data-label] {
      display: flex;
      gap: 0.375rem;
      order: 2;
    }

    td[data-label]::before {
      content: attr(data-label);
      color: var(--muted);
    }

    td[data-label='Status'],
    td[data-label='State'] {
      order: 0;
      flex: 0 1 auto;
    }

    td[data-label='From → to'],
    td[data-label='Progress'] {
      flex: 1 0 100%;
    }

    td[data-label='Progress'] > div {
      flex: 1;
      min-width: 0;
    }

    td[data-label='Status']::before,
    td[data-label='State']::before,
    td[data-label='From → to']::before,
    td[data-label='Progress']::before {
      content: none;
    }

    tr.empty {
      padding: 0.5rem 0;
    }

    td.none {
      display: none;
    }

    .head {
      padding: 0.875rem 1rem 0.625rem;
    }
  }
`;
