/** The held-out data at one point of a run. */
export interface Validation {
  /** Updates done before it. */
  readonly step: number;
  /** Mean loss over scored tokens, nats. */
  readonly loss: number;
  /** Share of scored tokens that the most likely token gets right. */
  readonly accuracy: number;
  /** Share of rows in which it does so at every scored position. */
  readonly rowAccuracy: number;
  /** Tokens scored. */
  readonly scored: number;
}

/** What happened in a run, in columns: entry i of each belongs together. */
export interface TrainingHistory {
  /** Updates done, from 1. */
  readonly step: readonly number[];
  /** Training loss of that update's batch, nats per scored token, before the update. */
  readonly loss: readonly number[];
  /** Norm of all gradients together, before clipping. */
  readonly gradientNorm: readonly number[];
  readonly validations: readonly Validation[];
}

/** A history that grows. */
export class HistoryRecorder implements TrainingHistory {
  readonly step: number[];
  readonly loss: number[];
  readonly gradientNorm: number[];
  readonly validations: Validation[];

  constructor(start?: TrainingHistory) {
    this.step = [...(start?.step ?? [])];
    this.loss = [...(start?.loss ?? [])];
    this.gradientNorm = [...(start?.gradientNorm ?? [])];
    this.validations = [...(start?.validations ?? [])];
  }

  record(step: number, loss: number, gradientNorm: number): void {
    this.step.push(step);
    this.loss.push(loss);
    this.gradientNorm.push(gradientNorm);
  }

  /** A copy that does not grow. */
  snapshot(): TrainingHistory {
    const { step, loss, gradientNorm, validations } = this;
    return { step: [...step], loss: [...loss], gradientNorm: [...gradientNorm], validations: [...validations] };
  }
}
