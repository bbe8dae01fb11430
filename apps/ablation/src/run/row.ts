import { LanguageModel } from '@mamba-ts/models';
import { AdamW, type Schedule, schedules } from '@mamba-ts/nn';
import { bitsPerByte, type TokenTask } from '@mamba-ts/tasks';
import { type Device, RandomGenerator } from '@mamba-ts/tensor';
import { DivergedError, Trainer, type TrainingProgress } from '@mamba-ts/train';
import type { RowReport, SampleReport } from '../report/study-report';
import type { ResolvedRow } from '../study/resolve';
import type { TrainingConfig } from '../study/study';

export interface RowRun {
  readonly row: ResolvedRow;
  readonly task: TokenTask;
  readonly device: Device;
  /** Of the initial values. */
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: TrainingProgress) => void;
  /** Called with the trained model, after the result is known. */
  readonly onTrained: (model: LanguageModel, report: RowReport) => Promise<SampleReport | null>;
  /** Told how many bytes the device holds while the row runs. */
  readonly onMemory: (bytes: number) => void;
}

/** Rows of a validation batch: more than a training batch needs fewer calls. */
const validationBatch = 32;

/** Trains one model. A loss that stops being a number ends the row, not the study. */
export async function trainRow({
  row,
  task,
  device,
  seed,
  signal,
  onProgress,
  onTrained,
  onMemory,
}: RowRun): Promise<RowReport> {
  const { steps, batch, learningRate, weightDecay, beta2, clipNorm, validations } = row.training;
  const random = new RandomGenerator(seed, device);
  const model = new LanguageModel(row.model, random);
  random.dispose();
  const optimizer = new AdamW(model.parameters(), { learningRate, weightDecay, beta2 });
  const validateEvery = Math.max(1, Math.floor(steps / validations));
  const schedule = scheduleOf(row.training);
  const loop = new Trainer({
    model,
    task,
    optimizer,
    schedule,
    steps,
    batch,
    clipNorm,
    validateEvery,
    validationBatch,
    onProgress,
    signal,
  });
  try {
    const error = await loop.run().then(
      () => null,
      (e: unknown) => {
        if (e instanceof DivergedError) return e.message;
        throw e;
      },
    );
    onMemory(device.memory().bytes);
    const { finished, step, history, validation, seconds, tokensPerSecond } = loop.result();
    const whole = finished && validation?.step === steps;
    const report: RowReport = {
      ...emptyRow(row),
      state: error !== null ? 'diverged' : whole ? 'finished' : 'interrupted',
      error,
      stepsDone: step,
      validation,
      bitsPerByte: task.bytes && validation ? bitsPerByte(validation.loss) : null,
      seconds,
      tokensPerSecond: Number.isFinite(tokensPerSecond) ? Math.round(tokensPerSecond) : null,
      history,
    };
    if (!whole || error !== null) return report;
    model.train(false);
    return { ...report, sample: await onTrained(model, report) };
  } finally {
    loop.dispose();
    optimizer.dispose();
    model.dispose();
  }
}

/** What a report says of a row that was not run. */
export function emptyRow({ name, block, layer, paper, model, training, parameters }: ResolvedRow): RowReport {
  return {
    name,
    block,
    layer,
    paper,
    state: 'not run',
    error: null,
    model,
    training,
    parameters,
    stepsDone: 0,
    validation: null,
    bitsPerByte: null,
    seconds: 0,
    tokensPerSecond: null,
    history: { step: [], loss: [], gradientNorm: [], validations: [] },
    sample: null,
  };
}

function scheduleOf({ schedule, steps, warmup }: Required<TrainingConfig>): Schedule {
  switch (schedule) {
    case 'constant':
      return schedules.linearWarmup(warmup);
    case 'linear':
      return schedules.linear(steps, { warmup, minimum: 0.1 });
    case 'cosine':
      return schedules.cosine(steps, { warmup, minimum: 0.1 });
  }
}
