/** Cards of sources, and the small pieces in them. */
import { css } from './css.js';

export const cards = css`
  .card,
  .empty:not(tr) {
    overflow: hidden;
    margin-bottom: 1rem;
    border: 1px solid var(--line);
    border-radius: 12px;
    background: var(--card);
  }

  .head {
    padding: 1rem 1.25rem 0.75rem;
  }

  .counts {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0.25rem 0.5rem;
    color: var(--muted);
    font-size: 0.875rem;
  }

  .facts {
    display: flex;
    flex-wrap: wrap;
    gap: 0.125rem 1.25rem;
    margin-top: 0.25rem;
    font-size: 0.875rem;
  }

  .facts div {
    display: flex;
    gap: 0.375rem;
  }

  .facts dt {
    color: var(--muted);
  }

  .facts dd {
    overflow-wrap: anywhere;
  }

  .pill {
    display: inline-flex;
    align-items: center;
    gap: 0.375rem;
    padding: 0.0625rem 0.5625rem;
    border-radius: 1rem;
    font-size: 0.8125rem;
    font-weight: 600;
    white-space: nowrap;
  }

  .pill.good {
    color: var(--good);
    background: var(--good-back);
  }

  .pill.busy {
    color: var(--busy);
    background: var(--busy-back);
  }

  .pill.warn {
    color: var(--warn);
    background: var(--warn-back);
  }

  .pill.bad {
    color: var(--bad);
    background: var(--bad-back);
  }

  .pill.quiet {
    color: var(--quiet);
    background: var(--quiet-back);
  }

  .shape {
    width: 0.5rem;
    height: 0.5rem;
    border: 2px solid currentColor;
  }

  .good > .shape {
    border-radius: 50%;
    background: currentColor;
  }

  .busy > .shape {
    border-radius: 50%;
    background: linear-gradient(90deg, currentColor 50%, transparent 50%);
  }

  .warn > .shape {
    border: 0;
    background: currentColor;
    clip-path: polygon(50% 0, 100% 100%, 0 100%);
  }

  .bad > .shape {
    border: 0;
    background: currentColor;
  }

  .quiet > .shape {
    border-radius: 50%;
  }

  .more {
    padding: 0.75rem 1.25rem;
    color: var(--muted);
    font-size: 0.875rem;
  }

  .card .more {
    border-top: 1px solid var(--line);
  }

  .empty:not(tr),
  tr.empty td {
    padding: 1.5rem 1.25rem;
  }

  .empty p {
    margin: 0.25rem 0;
    color: var(--muted);
  }

  .empty pre {
    margin: 0.75rem 0;
    padding: 0.625rem 0.875rem;
    border-radius: 8px;
    background: var(--quiet-back);
    white-space: pre-wrap;
  }
`;
