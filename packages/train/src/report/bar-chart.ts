import type { ReportBlock } from './document';
import { escapeHtml } from './escape';

const width = 760;
const left = 190;
const right = 680;
const rowHeight = 38;
const barHeight = 22;

type BarChart = Extract<ReportBlock, { kind: 'bars' }>;

/** Horizontal bars as SVG, each with its value, and lines to compare with. */
export function barChart({ title, bars, maximum, marks = [] }: BarChart): string {
  const highest = maximum ?? Math.max(...bars.map((b) => b.value), ...marks.map((m) => m.value));
  const at = (value: number): number =>
    left + ((right - left) * Math.max(0, Math.min(value, highest))) / (highest || 1);
  const top = marks.length > 0 ? 26 : 6;
  const bottom = top + bars.length * rowHeight;
  const parts: string[] = [`<path class="axis" d="M${left} ${top}V${bottom}"/>`];
  for (const { value, label } of marks) {
    const x = at(value).toFixed(1);
    parts.push(
      `<path class="mark" d="M${x} ${top - 4}V${bottom}"/><text class="mark-label" x="${x}" y="${top - 10}" text-anchor="middle">${escapeHtml(label)}</text>`,
    );
  }
  bars.forEach(({ label, value, shown, color, dash = 0 }, i) => {
    const y = top + i * rowHeight + (rowHeight - barHeight) / 2;
    const length = Math.max(2, at(value) - left).toFixed(1);
    const text = (y + barHeight / 2 + 4.5).toFixed(1);
    parts.push(`<text class="bar-name" x="${left - 14}" y="${text}" text-anchor="end">${escapeHtml(label)}</text>`);
    parts.push(
      `<rect class="bar c${color % 6} b${dash % 3}" x="${left}" y="${y}" width="${length}" height="${barHeight}" rx="3"/>`,
    );
    parts.push(`<text class="bar-value" x="${(at(value) + 9).toFixed(1)}" y="${text}">${escapeHtml(shown)}</text>`);
  });
  return `<svg viewBox="0 0 ${width} ${bottom + 8}" role="img" aria-label="${escapeHtml(title)}">${parts.join('')}</svg>`;
}
