import { formatCount, formatDuration, formatLoss } from '@mamba-ts/train';
import { percent } from '../report/finding';
import { isSolved, type PartReport, type RowReport, stateText } from '../report/study-report';
import type { Screen } from './screen';

/** A part's result: one row a model, then what they say together. */
export function showTable(screen: Screen, part: PartReport): void {
  screen.line();
  if (part.task.kind === 'text') showText(screen, part);
  else showAccuracy(screen, part);
  if (part.finding === null) return;
  screen.line();
  screen.paragraph(part.finding, '  ');
}

function showText(screen: Screen, { rows, baselines }: PartReport): void {
  const others = baselines.map((b) => [b.name, '', b.bitsPerByte.toFixed(3), '']);
  const models = rows.map((r) => [r.name, formatCount(r.parameters), r.bitsPerByte?.toFixed(3) ?? '–', unfinished(r)]);
  screen.table(['model', 'parameters', 'bits per byte', ''], [...others, ...models], [1, 2]);
}

function showAccuracy(screen: Screen, part: PartReport): void {
  const hasPaper = part.rows.some((r) => r.paper !== null);
  const hasRows = part.task.scoredPerRow > 1;
  const cells = part.rows.map((r) => {
    const { validation: v } = r;
    return [
      r.name,
      formatCount(r.parameters),
      v ? percent(v.accuracy) : '–',
      ...(hasRows ? [v ? percent(v.rowAccuracy) : '–'] : []),
      v ? formatLoss(v.loss) : '–',
      ...(hasPaper ? [r.paper ?? '–'] : []),
      isSolved(part, r) ? '✓ solved' : unfinished(r),
    ];
  });
  const heading = ['block + layer', 'parameters', 'accuracy', ...(hasRows ? ['whole rows'] : []), 'loss'];
  if (hasPaper) heading.push('paper, at its scale');
  screen.table([...heading, ''], cells, heading.map((_, i) => i).slice(1));
  const rows = hasRows ? '; whole rows: every token of a row right' : '';
  if (part.chance !== null) screen.line(screen.dim(`  guessing: ${percent(part.chance)}${rows}`));
}

function unfinished(row: RowReport): string {
  return row.state === 'finished' ? '' : `(${stateText(row)})`;
}

/** A row's result in a line. */
export function outcome(report: RowReport): string {
  const { validation, bitsPerByte, seconds, state, error } = report;
  const parts: string[] = [];
  if (state !== 'finished') parts.push(stateText(report));
  if (bitsPerByte !== null) parts.push(`${bitsPerByte.toFixed(3)} bits per byte`);
  else if (validation) parts.push(`accuracy ${percent(validation.accuracy)}`, `loss ${formatLoss(validation.loss)}`);
  if (error !== null) parts.push(error);
  return `→ ${[...parts, formatDuration(seconds)].join(', ')}`;
}
