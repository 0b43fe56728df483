/** Elements everywhere on the page. */
import { css } from './css.js';

export const base = css`
  * {
    box-sizing: border-box;
  }

  body {
    margin: 0 auto;
    max-width: 84rem;
    padding: 0 1.5rem 3rem;
    background: var(--page);
    color: var(--text);
    font: 0.9375rem/1.5 var(--sans);
    -webkit-text-size-adjust: 100%;
  }

  h1,
  h2,
  h3,
  p,
  dl,
  dd,
  pre {
    margin: 0;
  }

  h1 {
    font-size: 1.25rem;
    line-height: 1.2;
    letter-spacing: -0.01em;
  }

  h2 {
    font-size: 1.125rem;
  }

  h3 {
    font-size: 1rem;
    overflow-wrap: anywhere;
  }

  a {
    color: var(--accent);
  }

  code {
    font: 0.875em/1.5 var(--mono);
    overflow-wrap: anywhere;
  }

  :focus-visible {
    outline: 3px solid var(--accent);
    outline-offset: 2px;
    border-radius: 4px;
  }

  h2:focus {
    outline: none;
  }

  .unseen {
    position: absolute;
    width: 1px;
    height: 1px;
    margin: -1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }

  .skip {
    position: absolute;
    left: -999rem;
  }

  .skip:focus {
    left: 1rem;
    top: 0.5rem;
    padding: 0.25rem 0.75rem;
    background: var(--card);
    z-index: 1;
  }

  .muted {
    color: var(--muted);
  }

  @media (prefers-reduced-motion: no-preference) {
    html {
      scroll-behavior: smooth;
    }
  }
`;
