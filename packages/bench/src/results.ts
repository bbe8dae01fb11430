import type { Timing } from './measure';

/** One line of a benchmark. */
export interface Measurement {
  /** What ran, e.g. `matmul 512`. */
  readonly name: string;
  readonly threads: number;
  readonly timing: Timing;
  /** The same in the unit that people compare: GFLOP/s, GB/s, tokens/s. */
  readonly rate?: { readonly value: number; readonly unit: string };
  /** What the project demands: an upper bound in ms, a lower bound of the rate or of the speed-up over one thread. */
  readonly bar?: { readonly atMostMs?: number; readonly atLeastRate?: number; readonly atLeastSpeedup?: number };
  /** Times faster than on one thread. */
  readonly speedup?: number;
  /** Facts that belong to the figure. */
  readonly note?: string;
}

/** A benchmark run as it is kept in results/. */
export interface BenchmarkResult {
  readonly benchmark: string;
  readonly command: string;
  readonly date: string;
  readonly device: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly memoryGiB: number; readonly platform: string };
  readonly versions: { readonly node: string; readonly v8: string };
  readonly measurements: readonly Measurement[];
}

export function meetsBar(m: Measurement): boolean | null {
  if (!m.bar) return null;
  if (m.bar.atLeastSpeedup !== undefined && !((m.speedup ?? 0) >= m.bar.atLeastSpeedup)) return false;
  if (m.bar.atMostMs !== undefined && m.timing.median > m.bar.atMostMs) return false;
  return !(m.bar.atLeastRate !== undefined && (m.rate?.value ?? 0) < m.bar.atLeastRate);
}

function describeBar(m: Measurement): string {
  const parts: string[] = [];
  if (m.bar?.atMostMs !== undefined) parts.push(`≤ ${m.bar.atMostMs} ms`);
  if (m.bar?.atLeastRate !== undefined) parts.push(`≥ ${m.bar.atLeastRate} ${m.rate?.unit ?? ''}`.trim());
  if (m.bar?.atLeastSpeedup !== undefined) parts.push(`≥ ${m.bar.atLeastSpeedup}× one thread`);
  return parts.join(', ');
}

function formatMs(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(3);
}

/** Rows of the result as cells; the first row is the heading. */
export function tableRows(result: BenchmarkResult): string[][] {
  const rows = [['benchmark', 'threads', 'median ms', 'spread', 'rate', 'bar', 'met', 'note']];
  for (const m of result.measurements) {
    const met = meetsBar(m);
    rows.push([
      m.name,
      String(m.threads),
      formatMs(m.timing.median),
      `±${(50 * m.timing.spread).toFixed(0)} %`,
      m.rate ? `${m.rate.value >= 100 ? m.rate.value.toFixed(0) : m.rate.value.toFixed(1)} ${m.rate.unit}` : '',
      describeBar(m),
      met === null ? '' : met ? 'yes' : 'NO',
      [m.note, m.speedup && `${m.speedup.toFixed(2)}× one thread`].filter(Boolean).join(', '),
    ]);
  }
  return rows;
}

/** A table for a terminal. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((r) => r[c].length)));
  const line = (r: readonly string[]): string => r.map((cell, c) => (c === 0 || c >= 5 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join('  ').trimEnd();
  return [line(rows[0]), widths.map((w) => '─'.repeat(w)).join('  '), ...rows.slice(1).map(line)].join('\n');
}

/** A table for Markdown, with the facts that make it readable later. */
export function formatMarkdown(result: BenchmarkResult): string {
  const [head, ...body] = tableRows(result);
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const { machine, versions } = result;
  return [
    row(head),
    row(head.map((_, i) => (i === 0 || i >= 5 ? '---' : '---:'))),
    ...body.map(row),
    '',
    `Measured by \`${result.command}\` on ${result.date.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${versions.node}; ${result.device}. Spread is half the interquartile range over the median.`,
  ].join('\n');
}
