import { type TextWindows } from '@mamba-ts/tasks';
import type { Device } from '@mamba-ts/tensor';
import { formatCount, formatDuration, formatLoss, type JsonlLog, ProgressLine } from '@mamba-ts/train';
import { findingOf, percent } from '../report/finding';
import { scaleOf } from '../report/scale';
import type { PartReport, RowReport } from '../report/study-report';
import type { ResolvedPart, ResolvedRow } from '../study/resolve';
import type { Screen } from '../terminal/screen';
import { emptyRow, trainRow } from './row';
import { streamSample } from './sample';
import { textBaselines } from './task';

export interface StudyRun {
  readonly parts: readonly ResolvedPart[];
  readonly device: Device;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly screen: Screen;
  readonly log: JsonlLog;
}

export interface StudyResult {
  readonly parts: readonly PartReport[];
  readonly peakBytes: number;
}

/** Trains row after row and tells what happens. After an abort the parts say which rows were not run. */
export class StudyRunner {
  private peakBytes = 0;
  private readonly rowsInAll: number;
  private rowsStarted = 0;

  constructor(private readonly options: StudyRun) {
    this.rowsInAll = options.parts.reduce((n, p) => n + p.rows.length, 0);
  }

  async run(): Promise<StudyResult> {
    const parts: PartReport[] = [];
    for (const [i, part] of this.options.parts.entries()) parts.push(await this.runPart(part, i));
    return { parts, peakBytes: this.peakBytes };
  }

  private async runPart({ part, task, rows }: ResolvedPart, index: number): Promise<PartReport> {
    const { screen, signal, log, parts } = this.options;
    const isText = part.task.kind === 'text';
    const scale = scaleOf(part.task, rows[0]);
    const reports: RowReport[] = [];
    const baselines = isText && !signal.aborted ? textBaselines(task as TextWindows) : [];
    if (!signal.aborted) {
      log.event('part', { part: index + 1, title: part.title });
      screen.line();
      screen.line(screen.bold(`${index + 1}/${parts.length}  ${part.title}`));
      if (part.why !== undefined) screen.paragraph(part.why, '  ');
      screen.paragraph(`Task: ${task.description}.`, '  ');
      screen.line(`  Here       ${scale}`);
      if (part.paperScale !== undefined) screen.line(`  The paper  ${part.paperScale}`);
      for (const b of baselines)
        screen.line(
          `  Baseline ${b.name.padEnd(13)} ${b.bitsPerByte.toFixed(3)} bits per byte ${screen.dim(`(${b.note})`)}`,
        );
      screen.line();
    }
    for (const row of rows) reports.push(signal.aborted ? emptyRow(row) : await this.runRow(row, { part, task, rows }));
    const { description, length, scoredPositions, vocabSize } = task;
    const draft = {
      title: part.title,
      why: part.why ?? null,
      scale,
      paperScale: part.paperScale ?? null,
      task: { ...part.task, description, tokensPerRow: length, scoredPerRow: scoredPositions },
      solvedAt: part.solvedAt ?? null,
      chance: isText ? null : 1 / guesses(part.task.kind, vocabSize),
      baselines,
      rows: reports,
    };
    const report = { ...draft, finding: findingOf(draft) };
    if (reports.some((r) => r.stepsDone > 0)) this.showTable(report);
    return report;
  }

  private async runRow(row: ResolvedRow, { part, task }: ResolvedPart): Promise<RowReport> {
    const { screen, device, seed, signal, log } = this.options;
    const title = `Run ${++this.rowsStarted} of ${this.rowsInAll}: ${row.name}`;
    const facts = `${formatCount(row.parameters)} parameters, ${formatCount(row.training.steps)} steps of ${row.training.batch} × ${task.length} tokens`;
    screen.line(`  ${screen.bold(title)}  ${screen.dim(facts)}`);
    log.event('row', { row: row.name, parameters: row.parameters, model: row.model, training: row.training });
    const line = new ProgressLine(screen.stream, { label: '  ' });
    const record = log.progress(row.name);
    const show = (report: RowReport): void => {
      line.clear();
      screen.line(`  ${outcome(report)}`);
    };
    let shown = false;
    const report = await trainRow({
      row,
      task,
      device,
      seed,
      signal,
      onProgress: (progress) => {
        record(progress);
        line.update(progress);
      },
      onMemory: (bytes) => {
        this.peakBytes = Math.max(this.peakBytes, bytes);
      },
      onTrained: async (model, trained) => {
        show(trained);
        shown = true;
        if (!part.sample) return null;
        const { prompt, bytes } = part.sample;
        screen.line();
        screen.paragraph(
          `What it writes, ${formatCount(bytes)} bytes after ${JSON.stringify(prompt)}, one recurrent step a byte:`,
          '  ',
        );
        screen.line();
        screen.stream.write(`    ${screen.dim(indented(prompt))}`);
        const sample = await streamSample({
          model,
          config: part.sample,
          seed,
          signal,
          write: (text) => screen.stream.write(indented(text)),
        });
        screen.line();
        screen.line();
        screen.line(`  ${screen.dim(`${formatCount(sample.bytesPerSecond)} bytes/s, constant memory`)}`);
        return sample;
      },
    });
    if (!shown) show(report);
    log.event('row end', {
      row: row.name,
      state: report.state,
      stepsDone: report.stepsDone,
      validation: report.validation,
      seconds: report.seconds,
    });
    return report;
  }

  private showTable({ rows, baselines, chance, finding, task, solvedAt }: PartReport): void {
    const { screen } = this.options;
    const steps = (r: RowReport): string => (r.state === 'finished' ? '' : `  (${stateText(r)})`);
    screen.line();
    if (task.kind === 'text') {
      const models = rows.map((r) => [
        r.name,
        formatCount(r.parameters),
        r.bitsPerByte === null ? '–' : `${r.bitsPerByte.toFixed(3)}${steps(r)}`,
      ]);
      screen.table(
        ['model', 'parameters', 'bits per byte'],
        [...baselines.map((b) => [b.name, '', b.bitsPerByte.toFixed(3)]), ...models],
        [1, 2],
      );
    } else {
      const hasPaper = rows.some((r) => r.paper !== null);
      const heading = [
        'block + layer',
        'parameters',
        'accuracy',
        'loss',
        ...(hasPaper ? ['paper, at its scale'] : []),
        '',
      ];
      const cells = rows.map((r) => {
        const { validation: v } = r;
        const solved = v !== null && v.accuracy >= (solvedAt ?? 0.95) && r.state === 'finished';
        const paper = hasPaper ? [r.paper ?? '–'] : [];
        return [
          r.name,
          formatCount(r.parameters),
          v ? percent(v.accuracy) : '–',
          v ? formatLoss(v.loss) : '–',
          ...paper,
          solved ? '✓ solved' : steps(r).trim(),
        ];
      });
      screen.table(heading, cells, hasPaper ? [1, 2, 3, 4] : [1, 2, 3]);
      if (chance !== null) screen.line(screen.dim(`  guessing: ${percent(chance)}`));
    }
    if (finding === null) return;
    screen.line();
    screen.paragraph(finding, '  ');
  }
}

/** How many answers a guess has to choose from. */
function guesses(task: string, vocabSize: number): number {
  return task === 'selective-copying' ? vocabSize - 2 : vocabSize - 1;
}

/** Later lines of a text as far in as its first. */
function indented(text: string): string {
  return text.replaceAll('\n', '\n    ');
}

/** A row's result in a line. */
function outcome(report: RowReport): string {
  const { validation, bitsPerByte, seconds } = report;
  const parts: string[] = [];
  if (report.state !== 'finished') parts.push(stateText(report));
  if (bitsPerByte !== null) parts.push(`${bitsPerByte.toFixed(3)} bits per byte`);
  else if (validation) parts.push(`accuracy ${percent(validation.accuracy)}`, `loss ${formatLoss(validation.loss)}`);
  if (report.error !== null) parts.push(report.error);
  return `→ ${[...parts, formatDuration(seconds)].join(', ')}`;
}

export function stateText({ state, stepsDone, training }: Pick<RowReport, 'state' | 'stepsDone' | 'training'>): string {
  switch (state) {
    case 'not run':
      return 'not run';
    case 'diverged':
      return `diverged at step ${formatCount(stepsDone)}`;
    case 'interrupted':
      return `interrupted at step ${formatCount(stepsDone)} of ${formatCount(training.steps)}`;
    case 'finished':
      return 'finished';
  }
}
