import type { TrainingProgress } from '../training/trainer';
import { formatCount, formatDuration, formatLoss, formatRate } from './format';

/** Where progress goes: process.stdout and process.stderr have this shape. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ProgressLineOptions {
  /** In front of every line. */
  readonly label: string;
  /** Milliseconds between updates on a terminal; default 100. */
  readonly interval?: number;
  /** Into a file or a pipe go about so many lines per run; default 5. */
  readonly lines?: number;
}

const barWidth = 16;

/**
 * One line that keeps itself up to date: step, loss, tokens per second, time left. On a terminal it overwrites itself; elsewhere a line
 * appears now and then, so that a log stays readable.
 */
export class ProgressLine {
  private readonly terminal: boolean;
  private shownAt = -Infinity;
  private shownStep = 0;
  private open = false;

  constructor(
    private readonly stream: ProgressStream,
    private readonly options: ProgressLineOptions,
  ) {
    this.terminal = stream.isTTY === true;
  }

  /** A trainer's `onProgress`. */
  update(progress: TrainingProgress): void {
    const last = progress.step >= progress.steps;
    if (this.terminal) {
      const now = performance.now();
      if (!last && now - this.shownAt < (this.options.interval ?? 100)) return;
      this.shownAt = now;
      const line = terminalLine(this.options.label, progress);
      this.stream.write(`\r${clip(line, (this.stream.columns || 80) - 1)}\u001b[K`);
      this.open = true;
      return;
    }
    const every = Math.max(1, Math.ceil(progress.steps / (this.options.lines ?? 5)));
    if (progress.validation || (!last && progress.step - this.shownStep < every) || progress.step === this.shownStep)
      return;
    this.shownStep = progress.step;
    this.stream.write(`${this.options.label}${logLine(progress)}\n`);
  }

  /** Removes the line from a terminal, so that a result can take its place. */
  clear(): void {
    if (this.open) this.stream.write('\r\u001b[K');
    this.open = false;
  }
}

function terminalLine(label: string, p: TrainingProgress): string {
  const filled = Math.round((barWidth * p.step) / Math.max(1, p.steps));
  const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled);
  return `${label}${bar} ${logLine(p)}`;
}

function logLine(p: TrainingProgress): string {
  const steps = formatCount(p.steps);
  const step = formatCount(p.step).padStart(steps.length);
  const left = p.step >= p.steps ? 'done' : `${formatDuration(p.secondsLeft)} left`;
  return `step ${step}/${steps}  loss ${formatLoss(p.loss)}  ${formatRate(p.tokensPerSecond)} tokens/s  ${left}`;
}

/** Wider lines would wrap, and the next one could not take their place. */
function clip(line: string, columns: number): string {
  return line.length <= columns ? line : line.slice(0, Math.max(0, columns));
}
