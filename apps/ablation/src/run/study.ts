import { type TextWindows } from '@mamba-ts/tasks';
import type { Device } from '@mamba-ts/tensor';
import { formatCount, type JsonlLog, ProgressLine } from '@mamba-ts/train';
import { findingOf } from '../report/finding';
import { scaleOf } from '../report/scale';
import type { PartReport, RowReport } from '../report/study-report';
import type { ResolvedPart, ResolvedRow } from '../study/resolve';
import type { TaskConfig } from '../study/study';
import { outcome, showTable } from '../terminal/part-table';
import type { Screen } from '../terminal/screen';
import { emptyRow, trainRow } from './row';
import { streamSample } from './sample';
import { type Baseline, textBaselines } from './task';

export interface StudyRun {
  readonly parts: readonly ResolvedPart[];
  readonly device: Device;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly screen: Screen;
  readonly log: JsonlLog;
}

/** Trains row after row and tells what happens. */
export class StudyRunner {
  /** Most bytes that the device held at the end of a row's training. */
  peakBytes = 0;
  /** By part and row; rows that were not run yet are empty. */
  private readonly reports: RowReport[][];
  private readonly baselines: Baseline[][];
  private readonly rowsInAll: number;
  private rowsStarted = 0;

  constructor(private readonly options: StudyRun) {
    this.reports = options.parts.map((p) => p.rows.map(emptyRow));
    this.baselines = options.parts.map(() => []);
    this.rowsInAll = this.reports.flat().length;
  }

  /** Runs to the end, or until the signal aborts. `onRow` is called after every row. */
  async run(onRow: () => unknown): Promise<void> {
    const { parts, signal, screen } = this.options;
    for (const [p, part] of parts.entries()) {
      if (signal.aborted) return;
      this.introduce(p);
      for (const [r, row] of part.rows.entries()) {
        if (signal.aborted) break;
        this.reports[p][r] = await this.runRow(row, part);
        onRow();
      }
      showTable(screen, this.partReport(p));
    }
  }

  /** What is known so far. */
  snapshot(): { parts: PartReport[]; finished: boolean } {
    const done = this.reports.flat().every((r) => r.state === 'finished' || r.state === 'diverged');
    return {
      parts: this.options.parts.map((_, p) => this.partReport(p)),
      finished: done && !this.options.signal.aborted,
    };
  }

  /** Says what the next part is about. */
  private introduce(index: number): void {
    const { screen, log, parts } = this.options;
    const { part, task } = parts[index];
    if (part.task.kind === 'text') this.baselines[index] = textBaselines(task as TextWindows);
    const { scale, paperScale } = this.partReport(index);
    log.event('part', { part: index + 1, title: part.title });
    screen.line();
    screen.line(screen.bold(`${index + 1}/${parts.length}  ${part.title}`));
    if (part.why !== undefined) screen.paragraph(part.why, '  ');
    screen.paragraph(`Task: ${task.description}.`, '  ');
    screen.line(`  Here       ${scale}`);
    if (paperScale !== null) screen.line(`  The paper  ${paperScale}`);
    for (const { name, bitsPerByte, note } of this.baselines[index]) {
      screen.line(`  Baseline ${name.padEnd(13)} ${bitsPerByte.toFixed(3)} bits per byte ${screen.dim(`(${note})`)}`);
    }
    screen.line();
  }

  private partReport(index: number): PartReport {
    const { part, task, rows } = this.options.parts[index];
    const { description, length, scoredPositions } = task;
    const draft = {
      title: part.title,
      why: part.why ?? null,
      scale: scaleOf(part.task, rows[0]),
      paperScale: part.paperScale ?? null,
      task: { ...part.task, description, tokensPerRow: length, scoredPerRow: scoredPositions },
      solvedAt: part.solvedAt ?? null,
      chance: chanceOf(part.task),
      baselines: this.baselines[index],
      rows: this.reports[index],
    };
    return { ...draft, finding: findingOf(draft) };
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
}

/** Accuracy of guessing among the tokens that can be an answer; null for text. */
function chanceOf(task: TaskConfig): number | null {
  switch (task.kind) {
    case 'selective-copying':
      return 1 / (task.vocabSize - 2);
    case 'induction-heads':
      return 1 / (task.vocabSize - 1);
    case 'text':
      return null;
  }
}

/** Later lines of a text as far in as its first. */
function indented(text: string): string {
  return text.replaceAll('\n', '\n    ');
}
