/** The page's style: light and dark by the reader's preference, nothing loaded from elsewhere. */
export const style: string = `
:root { color-scheme: light dark;
  --page: #fbfaf8; --card: #ffffff; --ink: #1c1b1a; --soft: #5d5a55; --faint: #8b8780; --rule: #e5e1da; --grid: #eeebe5;
  --c0: #c2571a; --c1: #1f6fc4; --c2: #2a8a57; --c3: #9b3fa5; --c4: #a07d00; --c5: #5d6770;
  --good: #e7f4ec; --good-ink: #17603a; --warn: #fdf0dc; --warn-ink: #7a4a05; --plain: #eef2f8; --plain-ink: #26456e; }
@media (prefers-color-scheme: dark) { :root {
  --page: #151516; --card: #1d1d1f; --ink: #ecebe8; --soft: #b3b0aa; --faint: #86837d; --rule: #343437; --grid: #2a2a2d;
  --c0: #f0935a; --c1: #6cb0f5; --c2: #62c492; --c3: #d48bdc; --c4: #d9b84a; --c5: #a9b3bd;
  --good: #16301f; --good-ink: #9fdcb8; --warn: #382a12; --warn-ink: #f0c987; --plain: #1c2736; --plain-ink: #b4cdf0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 56px 24px 72px; }
h1 { font-size: 34px; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 12px; text-wrap: balance; }
h2 { font-size: 23px; line-height: 1.3; letter-spacing: -0.01em; margin: 56px 0 12px; text-wrap: balance; }
h3 { font-size: 15px; margin: 0 0 10px; }
p { margin: 0 0 16px; max-width: 70ch; }
.lead { font-size: 18px; color: var(--soft); margin-bottom: 20px; }
.meta { display: flex; flex-wrap: wrap; gap: 6px 24px; padding: 12px 0; border-block: 1px solid var(--rule); font-size: 14px; color: var(--soft); }
.meta b { font-weight: 500; color: var(--faint); margin-right: 6px; }
.finding { border-radius: 10px; padding: 15px 20px; font-size: 17px; margin: 18px 0 22px; max-width: none; font-weight: 500; }
.good { background: var(--good); color: var(--good-ink); }
.plain { background: var(--plain); color: var(--plain-ink); }
.warning { background: var(--warn); color: var(--warn-ink); }
figure { margin: 22px 0; padding: 20px 22px 14px; background: var(--card); border: 1px solid var(--rule); border-radius: 12px; }
figcaption, .note { color: var(--faint); font-size: 13.5px; line-height: 1.5; margin: 8px 0 4px; max-width: 78ch; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 12.5px; fill: var(--soft); }
.tick { fill: var(--faint); font-variant-numeric: tabular-nums; }
.name { fill: var(--faint); }
.grid { stroke: var(--grid); fill: none; }
.axis { stroke: var(--rule); fill: none; }
.mark { stroke: var(--faint); stroke-dasharray: 2 4; fill: none; }
svg .mark-label { fill: var(--faint); }
.line { fill: none; stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round; }
.d1 { stroke-dasharray: 7 5; } .d2 { stroke-dasharray: 1 5; }
.range { opacity: 0.13; stroke: none; }
.b1 { opacity: 0.62; } .b2 { opacity: 0.38; }
svg .bar-name { font-size: 14px; fill: var(--ink); }
svg .bar-value { font-size: 14px; font-weight: 600; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .label { font-weight: 600; }
${[0, 1, 2, 3, 4, 5].map((i) => `.line.c${i} { stroke: var(--c${i}); } .range.c${i}, .end.c${i}, .bar.c${i}, svg .label.c${i} { fill: var(--c${i}); }`).join('\n')}
.scroll { overflow-x: auto; margin: 22px 0 8px; }
table { border-collapse: collapse; width: 100%; font-size: 15px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; font-size: 13.5px; color: var(--faint); border-bottom: 1px solid var(--rule); padding: 6px 14px 8px 0; white-space: nowrap; }
td { border-bottom: 1px solid var(--grid); padding: 9px 14px 9px 0; white-space: nowrap; }
th.right, td.right { text-align: right; padding: 9px 0 9px 20px; }
tr.strong td { font-weight: 650; }
.sample { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 14px/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.sample .prompt { color: var(--faint); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 24px; margin: 16px 0; font-size: 15px; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
details { border-top: 1px solid var(--rule); padding: 10px 0; }
summary { cursor: pointer; color: var(--soft); font-size: 15px; }
details pre { overflow-x: auto; font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 14px 16px; }
@media (max-width: 600px) { main { padding: 32px 16px 48px; } h1 { font-size: 27px; } figure { padding: 14px 12px 10px; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; } }
@media print { body { background: none; } figure, table { break-inside: avoid; } }
`;
