import { barChart } from './bar-chart';
import type { ReportBlock, ReportDocument } from './document';
import { escapeHtml as e } from './escape';
import { lineChart } from './line-chart';
import { style } from './style';

/** A report as one HTML file that needs nothing else: no scripts, no fonts, no network. */
export function renderReport({ title, lead, warning, facts, sections }: ReportDocument): string {
  const body = [
    `<h1>${e(title)}</h1>`,
    `<p class="lead">${e(lead)}</p>`,
    `<div class="meta">${facts.map(([name, value]) => `<span><b>${e(name)}</b>${e(value)}</span>`).join('')}</div>`,
    warning === undefined ? '' : `<p class="finding warning">${e(warning)}</p>`,
    ...sections.map((s) => `<section><h2>${e(s.title)}</h2>\n${s.blocks.map(renderBlock).join('\n')}</section>`),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${e(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
${body.filter((part) => part !== '').join('\n')}
</main>
</body>
</html>
`;
}

function renderBlock(block: ReportBlock): string {
  switch (block.kind) {
    case 'text':
      return `<p>${e(block.text)}</p>`;
    case 'finding':
      return `<p class="finding ${block.tone}">${e(block.text)}</p>`;
    case 'lines':
      return figure(block.title, lineChart(block), block.note);
    case 'bars':
      return figure(block.title, barChart(block), block.note);
    case 'table':
      return table(block);
    case 'sample':
      return figure(
        '',
        `<p class="sample"><span class="prompt">${e(block.prompt)}</span>${e(block.text)}</p>`,
        block.note,
      );
    case 'facts':
      return `<dl>${block.facts.map(([name, value]) => `<dt>${e(name)}</dt><dd>${e(value)}</dd>`).join('')}</dl>`;
    case 'details':
      return `<details><summary>${e(block.summary)}</summary><pre>${e(block.text)}</pre></details>`;
  }
}

function figure(title: string, content: string, note: string | undefined): string {
  const head = title === '' ? '' : `<h3>${e(title)}</h3>`;
  return `<figure>${head}${content}${note === undefined ? '' : `<figcaption>${e(note)}</figcaption>`}</figure>`;
}

function table({ columns, rows, strong = [], note }: Extract<ReportBlock, { kind: 'table' }>): string {
  const align = (i: number): string => (columns[i]?.align === 'right' ? ' class="right"' : '');
  const head = columns.map((c, i) => `<th${align(i)}>${e(c.label)}</th>`).join('');
  const body = rows.map((row, r) => {
    const cells = row.map((cell, i) => `<td${align(i)}>${e(cell)}</td>`).join('');
    return `<tr${strong.includes(r) ? ' class="strong"' : ''}>${cells}</tr>`;
  });
  const below = note === undefined ? '' : `<p class="note">${e(note)}</p>`;
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>${below}`;
}
