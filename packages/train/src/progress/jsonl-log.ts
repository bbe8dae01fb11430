import type { TrainingProgress } from '../training/trainer';

/** What a log line says besides its event. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * A log of one JSON object a line, for programs: `{"event":"step","run":"mamba + S6","step":12,"loss":2.31,…}`. Times are seconds since the log was
 * opened. Numbers that are not finite come as null.
 */
export class JsonlLog {
  private readonly opened = performance.now();

  /** @param write gets one line at a time, its end included */
  constructor(private readonly write: (line: string) => void) {}

  /** One line of any kind. */
  event(event: string, fields: LogFields = {}): void {
    const time = Number(((performance.now() - this.opened) / 1000).toFixed(3));
    this.write(`${JSON.stringify({ event, time, ...fields })}\n`);
  }

  /** A trainer's `onProgress`, for the run of that name. */
  progress(run: string): (progress: TrainingProgress) => void {
    return ({ step, loss, gradientNorm, tokensPerSecond, validation }) => {
      if (validation) this.event('validation', { run, ...validation });
      else this.event('step', { run, step, loss, gradientNorm, tokensPerSecond: Math.round(tokensPerSecond) });
    };
  }
}
