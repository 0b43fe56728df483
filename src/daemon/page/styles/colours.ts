/** Colours, light and dark. Those of text keep a contrast of 4.5 and more to what is behind them. */
import { css } from './css.js';

export const colours = css`
  :root {
    color-scheme: light dark;
    --page: #f5f6f7;
    --card: #ffffff;
    --line: #dfe3e7;
    --text: #1a2026;
    --muted: #57616c;
    --accent: #0b5c6b;
    --good: #0a6637;
    --good-back: #e3f4ea;
    --busy: #1d4f9e;
    --busy-back: #e6eefb;
    --warn: #7d4700;
    --warn-back: #fdf0d9;
    --bad: #9c2218;
    --bad-back: #fce8e5;
    --quiet: #4a545e;
    --quiet-back: #eceff2;
    --sans: system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif;
    --mono: ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace;
  }

  @media (prefers-color-scheme: dark) {
    :root {
      --page: #0f1317;
      --card: #171c21;
      --line: #2b323a;
      --text: #e6eaee;
      --muted: #9ca7b2;
      --accent: #63c3d3;
      --good: #74d39c;
      --good-back: #12301f;
      --busy: #92b9f7;
      --busy-back: #172a47;
      --warn: #efb65c;
      --warn-back: #37270c;
      --bad: #f59a8f;
      --bad-back: #3b1713;
      --quiet: #b4bec8;
      --quiet-back: #262d34;
    }
  }
`;
