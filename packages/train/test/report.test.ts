import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeMachine, escapeHtml, renderReport, type ReportDocument, writeReport } from '@mamba-ts/train';
import { describe, expect, test } from 'vitest';
import { formatTick, linearAxis, roundTicks } from '../src/report/axis';
import { curveOf } from '../src/report/curve';

const document: ReportDocument = {
  title: 'A <title>',
  lead: 'What & why',
  facts: [['seed', '1']],
  sections: [
    {
      title: 'One',
      blocks: [
        { kind: 'text', text: 'plain "text"' },
        { kind: 'finding', tone: 'good', text: 'S6 > S4D' },
        {
          kind: 'lines',
          title: 'loss',
          xLabel: 'step',
          yLabel: 'nats',
          series: [
            {
              label: 'a<b',
              points: [
                [1, 3],
                [2, 2],
                [3, NaN],
                [4, 1],
              ],
              color: 0,
            },
            { label: 'empty', points: [], color: 1 },
          ],
          marks: [{ value: 2.5, label: 'chance' }],
        },
        {
          kind: 'bars',
          title: 'accuracy',
          bars: [{ label: 'x', value: 0.5, shown: '50 %', color: 2 }],
          maximum: 1,
          marks: [{ value: 0.1, label: 'chance' }],
        },
        {
          kind: 'table',
          columns: [{ label: 'row' }, { label: 'n', align: 'right' }],
          rows: [
            ['a', '1'],
            ['b', '2'],
          ],
          strong: [1],
        },
        { kind: 'sample', prompt: 'ROMEO:', text: '</p><script>alert(1)</script>\u0000' },
        { kind: 'facts', facts: [['cpu', 'x & y']] },
        { kind: 'details', summary: 'config', text: '{"a": 1}' },
      ],
    },
  ],
};

describe('report', () => {
  test('one HTML document that loads nothing and runs nothing', () => {
    const html = renderReport({ ...document, warning: 'cut short' });
    expect(html.startsWith('<!doctype html>')).toBe(true);
    expect(html).not.toMatch(/<script|<link|<img|\bsrc=|url\(|@import|https?:/);
    expect(html).toContain('prefers-color-scheme: dark');
    expect(html).toContain('A &lt;title&gt;');
    expect(html).toContain('&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;\ufffd');
    expect(html).toContain('cut short');
    // Every element that is opened is closed.
    for (const tag of ['main', 'section', 'figure', 'svg', 'table', 'tr', 'td', 'p', 'text', 'details', 'dl', 'g']) {
      const opened = html.match(new RegExp(`<${tag}[ >]`, 'g'))?.length ?? 0;
      expect(`${tag} ${html.match(new RegExp(`</${tag}>`, 'g'))?.length ?? 0}`).toBe(`${tag} ${opened}`);
    }
    expect(html).not.toContain('NaN');
  });

  test('charts put values where their axes say', () => {
    const html = renderReport(document);
    // The curve ends at x = 4 of 4 (the right end) and y = 1 of an axis from 0 to 3.
    expect(html).toContain('cx="610.0" cy="191.3"');
    // A bar of 0.5 of 1 is half as long as the axis.
    expect(html).toContain('width="245.0"');
  });

  test('written as two files, the JSON with curves on one line', () => {
    const folder = mkdtempSync(join(tmpdir(), 'mamba-report-'));
    const data = {
      loss: [3, 2.5, null, 1e-7],
      names: ['a', 'b'],
      text: '[1,   2]',
      nested: [[1], [], {}, [{ a: [null] }]],
      'a"b': true,
    };
    const { html, json } = writeReport(join(folder, 'deep', 'er'), document, data);
    expect(readFileSync(html, 'utf8')).toBe(renderReport(document));
    expect(JSON.parse(readFileSync(json, 'utf8'))).toEqual(data);
    expect(readdirSync(join(folder, 'deep', 'er')).toSorted()).toEqual(['report.html', 'report.json']);
    rmSync(folder, { recursive: true });
  });

  test('text is escaped for elements and attributes', () => {
    expect(escapeHtml('<a href="x" title=\'y\'>&</a>')).toBe(
      '&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;&lt;/a&gt;',
    );
    expect(escapeHtml('line\nend\u0007')).toBe('line\nend\ufffd');
  });

  test('ticks are round numbers that cover the range', () => {
    expect(roundTicks(0, 3, 5)).toEqual([0, 1, 2, 3]);
    expect(roundTicks(0, 0.9, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8]);
    expect(roundTicks(1.3, 2.9, 5)).toEqual([1.5, 2, 2.5]);
    expect(linearAxis(0, 2.7, 100, 0, 5, false).at(3)).toBeCloseTo(0, 9);
    expect(linearAxis(0, 2.7, 0, 100, 5, true).at(2.7)).toBeCloseTo(100, 9);
    expect([0, 0.25, 1500, 20_000].map(formatTick)).toEqual(['0', '0.25', '1,500', '20k']);
  });

  test('curves: means stay on a straight line, and long ones are thinned with both ends kept', () => {
    const points = Array.from({ length: 5000 }, (_, i) => [i, 2 * i + 1] as const);
    const { line, range } = curveOf({ label: '', color: 0, points, smooth: 21 });
    expect(line.length).toBeLessThanOrEqual(241);
    expect([line[0][0], line[line.length - 1][0]]).toEqual([0, 4999]);
    for (const [x, y] of line) expect(y).toBeCloseTo(2 * x + 1, 6);
    for (const [x, low, high] of range) expect(low <= 2 * x + 1 && 2 * x + 1 <= high).toBe(true);
  });

  test('the machine is told', () => {
    const machine = describeMachine();
    expect(machine.cores).toBeGreaterThan(0);
    expect(machine.runtime).toBe(`Node.js ${process.versions.node}`);
  });
});
