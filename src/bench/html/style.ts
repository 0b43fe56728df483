/** How the page looks: as the reader's system is set, light or dark, from a phone's width on. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --panel: #f6f8fa; --text: #1b1f24; --quiet: #57606a; --rule: #d8dee4;
  --first: #0b62c4; --second: #b1440e; --third: #6d3fc0; --limit: #57606a; --warn: #fff3cd; --warn-text: #5c4300;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --panel: #1c2127; --text: #e7ebef; --quiet: #a3adb8; --rule: #343b43;
    --first: #6cb0ff; --second: #ff9d66; --third: #c3a1ff; --limit: #a3adb8; --warn: #473a10; --warn-text: #ffe39b;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 66rem; padding: 1.25rem 1rem 3rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; -webkit-text-size-adjust: 100%;
}
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.0625rem; margin: 0 0 .5rem; }
p { margin: 0 0 .5rem; }
.quiet, figcaption { color: var(--quiet); font-size: .875rem; }
.warn { background: var(--warn); color: var(--warn-text); padding: .625rem .875rem; border-radius: 6px; margin: 1rem 0; font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; margin: 1rem 0; }
figure, section { margin: 0; padding: .875rem; background: var(--panel); border-radius: 8px; min-width: 0; }
section { margin: 1rem 0; }
ul { margin: 0; padding-left: 1.125rem; }
li { margin: .25rem 0; overflow-wrap: anywhere; }
code { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, monospace; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--first); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .625rem; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child { padding-left: 0; }
thead th, caption { color: var(--quiet); font-weight: 600; font-size: .8125rem; }
tbody th { font-weight: 600; }
caption { text-align: left; }
.chart { display: block; width: 100%; height: auto; }
.chart text { fill: var(--text); font-size: 13px; }
.chart .ticks text, .chart .unit { fill: var(--quiet); font-size: 12px; }
.end text, .bar .name, .bar .value { text-anchor: end; }
.middle text, .centre { text-anchor: middle; }
.grid line { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke-width: 2; }
.line line { stroke-width: 2; }
.line .whiskers line { stroke-width: 5; opacity: .3; }
.first { stroke: var(--first); } .first circle { fill: var(--first); }
.second { stroke: var(--second); } .second circle { fill: var(--second); }
.third { stroke: var(--third); } .third circle { fill: var(--third); }
.limit { stroke: var(--limit); stroke-dasharray: 5 4; }
.bar rect { fill: var(--first); }
`;
