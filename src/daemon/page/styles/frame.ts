/** What stands around the lists: header, summary, filter, footer. */
import { css } from './css.js';

export const frame = css`
  header,
  .brand,
  .bar,
  .title {
    display: flex;
    align-items: center;
    gap: 0.75rem 1rem;
    flex-wrap: wrap;
  }

  header,
  .bar,
  .title {
    justify-content: space-between;
  }

  header {
    padding: 1.5rem 0 1.25rem;
  }

  .brand {
    flex-wrap: nowrap;
  }

  .mark {
    flex: none;
  }

  .mark rect {
    fill: #0b5c6b;
  }

  .mark path {
    fill: none;
    stroke: #fff;
    stroke-width: 3;
    stroke-linecap: round;
  }

  .about,
  footer {
    color: var(--muted);
    font-size: 0.875rem;
  }

  .live {
    font-size: 0.875rem;
    color: var(--muted);
  }

  .live[data-state]::before {
    content: '';
    display: inline-block;
    width: 0.5rem;
    height: 0.5rem;
    margin-right: 0.5rem;
    border-radius: 50%;
    border: 2px solid currentColor;
  }

  .live[data-state='live'] {
    color: var(--good);
  }

  .live[data-state='live']::before {
    background: currentColor;
  }

  .live[data-state='lost'] {
    color: var(--warn);
    font-weight: 600;
  }

  .notice {
    margin-bottom: 1rem;
    padding: 0.75rem 1rem;
    border-radius: 8px;
    background: var(--warn-back);
    color: var(--warn);
  }

  .verdict {
    margin-bottom: 0.875rem;
    font-size: 1.5rem;
    line-height: 1.3;
    letter-spacing: -0.015em;
    font-weight: 600;
  }

  .tiles {
    display: grid;
    grid-template-columns: repeat(6, minmax(0, 1fr));
    gap: 1px;
    overflow: hidden;
    border: 1px solid var(--line);
    border-radius: 12px;
    background: var(--line);
  }

  .tiles div {
    display: flex;
    flex-direction: column-reverse;
    justify-content: flex-end;
    padding: 0.75rem 1rem;
    background: var(--card);
  }

  .tiles dt {
    color: var(--muted);
    font-size: 0.8125rem;
  }

  .tiles dd {
    font-size: 1.5rem;
    line-height: 1.3;
    font-weight: 600;
    font-variant-numeric: tabular-nums;
  }

  .tiles a {
    color: inherit;
    text-decoration: none;
  }

  .tiles a:hover {
    text-decoration: underline;
  }

  .tiles .good dd {
    color: var(--good);
  }

  .tiles .busy dd {
    color: var(--busy);
  }

  .tiles .warn dd {
    color: var(--warn);
  }

  .tiles .bad dd {
    color: var(--bad);
  }

  .bar {
    margin: 2rem 0 0.75rem;
    min-height: 2.5rem;
  }

  #filter {
    display: flex;
    flex: 0 1 24rem;
    gap: 0.5rem;
  }

  #q,
  button {
    font: inherit;
    color: inherit;
    padding: 0.4rem 0.75rem;
    border: 1px solid var(--muted);
    border-radius: 8px;
    background: var(--card);
  }

  #q {
    flex: 1;
    min-width: 0;
    width: 100%;
  }

  #q::placeholder {
    color: var(--muted);
    opacity: 1;
  }

  footer {
    margin-top: 2rem;
  }
`;
