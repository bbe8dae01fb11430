import { formatTick, linearAxis } from './axis';
import { type Curve, curveOf } from './curve';
import type { ReportBlock } from './document';
import { escapeHtml } from './escape';

const width = 760;
const height = 330;
const left = 54;
const right = 610;
const top = 14;
const bottom = 280;
/** Least distance of two labels at the right. */
const labelHeight = 17;
const colors = 6;

type LineChart = Extract<ReportBlock, { kind: 'lines' }>;

/** Curves as SVG, each named where it ends. Colours come from the page's style (`c0` … `c5`). */
export function lineChart({ title, xLabel, yLabel, series, marks = [], yRange }: LineChart): string {
  const curves = series.map(curveOf);
  const [low, high] =
    yRange ??
    extent(
      curves,
      marks.map((m) => m.value),
    );
  const ends = curves.flatMap(({ line }) => line.map(([x]) => x));
  const x = linearAxis(0, Math.max(1, ...ends), left, right, 6, true);
  const y = linearAxis(low, high, bottom, top, 5, yRange !== undefined);
  const inside = (value: number): number => Math.min(bottom, Math.max(top, y.at(value)));
  const place = (px: number, py: number): string => `${px.toFixed(1)} ${py.toFixed(1)}`;

  const parts: string[] = [];
  for (const tick of y.ticks) {
    parts.push(`<path class="grid" d="M${place(left, y.at(tick))}H${right}"/>`);
    parts.push(
      `<text class="tick" x="${left - 9}" y="${(y.at(tick) + 4).toFixed(1)}" text-anchor="end">${formatTick(tick)}</text>`,
    );
  }
  for (const tick of x.ticks) {
    parts.push(
      `<text class="tick" x="${x.at(tick).toFixed(1)}" y="${bottom + 20}" text-anchor="middle">${formatTick(tick)}</text>`,
    );
  }
  parts.push(`<path class="axis" d="M${left} ${bottom}H${right}"/>`);
  parts.push(
    `<text class="name" x="${(left + right) / 2}" y="${bottom + 42}" text-anchor="middle">${escapeHtml(xLabel)}</text>`,
  );
  parts.push(
    `<text class="name" transform="translate(13 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(yLabel)}</text>`,
  );

  const labels: Label[] = [];
  for (const { value, label } of marks) {
    parts.push(`<path class="mark" d="M${place(left, inside(value))}H${right}"/>`);
    labels.push({ y: inside(value), text: label, style: 'mark-label' });
  }
  for (const { range } of curves.map((c, i) => ({ ...c, i })).filter((c) => c.range.length > 1)) {
    const i = curves.findIndex((c) => c.range === range);
    const upper = range.map(([px, , b]) => place(x.at(px), inside(b)));
    const lower = range.map(([px, a]) => place(x.at(px), inside(a))).reverse();
    parts.push(`<path class="range c${series[i].color % colors}" d="M${[...upper, ...lower].join('L')}Z"/>`);
  }
  curves.forEach(({ line }, i) => {
    if (line.length === 0) return;
    const { label, color, dash = 0 } = series[i];
    const style = `c${color % colors}`;
    const last = line[line.length - 1];
    const path = line.map(([px, py]) => place(x.at(px), inside(py))).join('L');
    parts.push(`<path class="line ${style} d${dash % 3}" d="M${path}"><title>${escapeHtml(label)}</title></path>`);
    parts.push(
      `<circle class="end ${style}" cx="${x.at(last[0]).toFixed(1)}" cy="${inside(last[1]).toFixed(1)}" r="3.5"/>`,
    );
    labels.push({
      y: inside(last[1]),
      text: label,
      style: `label ${style}`,
      key: `<path class="line ${style} d${dash % 3}" d="M${right + 10} 0h22"/>`,
    });
  });
  for (const { y: at, text, style, key } of spread(labels)) {
    const sample = key ? `<g transform="translate(0 ${at.toFixed(1)})">${key}</g>` : '';
    parts.push(
      `${sample}<text class="${style}" x="${right + (key ? 38 : 10)}" y="${(at + 4).toFixed(1)}">${escapeHtml(text)}</text>`,
    );
  }
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">${parts.join('')}</svg>`;
}

interface Label {
  readonly y: number;
  readonly text: string;
  readonly style: string;
  readonly key?: string;
}

/** Labels moved apart until none covers another, in their order. */
function spread(labels: readonly Label[]): Label[] {
  const sorted = labels.toSorted((a, b) => a.y - b.y);
  const ys = sorted.map((l) => l.y);
  for (let i = 1; i < ys.length; i++) ys[i] = Math.max(ys[i], ys[i - 1] + labelHeight);
  // What was pushed out below comes back up.
  for (let i = ys.length - 1; i >= 0; i--) {
    const limit = i === ys.length - 1 ? bottom : ys[i + 1] - labelHeight;
    ys[i] = Math.min(ys[i], limit);
  }
  return sorted.map((label, i) => ({ ...label, y: ys[i] }));
}

/** From 0, or a little below the lowest value if 0 is far off, to the highest that matters. */
function extent(curves: readonly Curve[], marks: readonly number[]): [number, number] {
  const values = [...curves.flatMap(({ line }) => line.map(([, y]) => y)), ...marks];
  if (values.length === 0) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return [low > 0 && low < 0.6 * high ? 0 : low - 0.05 * (high - low), high];
}
