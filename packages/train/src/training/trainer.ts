import {
  clipGradientNorm,
  crossEntropyLoss,
  gradientNorm,
  type Module,
  type Schedule,
  type Stateful,
} from '@mamba-ts/nn';
import {
  type CompiledStep,
  compile,
  type Device,
  grad,
  type RandomGenerator,
  type Tensor,
  Turn,
  type Variable,
} from '@mamba-ts/tensor';
import { checkInteger, DivergedError, TrainingError } from '../errors';
import { type CheckpointNotes, readCheckpoint, type TrainingState, writeCheckpoint } from './checkpoint';
import { batchVariables, Evaluator } from './evaluator';
import { HistoryRecorder, type TrainingHistory, type Validation } from './history';
import { Pace } from './pace';
import { ignoreIndex, type TrainingTask } from './task';

/** What the loop needs of an optimiser; nn's AdamW has it. */
export interface TrainingOptimizer extends Stateful {
  readonly parameters: readonly Variable[];
  /** One update, in a compiled step; gradients in the order of `parameters`. */
  update(gradients: readonly Tensor[]): void;
  /** The factor on the learning rate for the next update. */
  setScheduleFactor(factor: number): void;
}

export interface TrainerOptions {
  /** forward: int32 (batch, length) → logits (batch, length, classes). */
  readonly model: Module & { forward(ids: Tensor): Tensor };
  readonly task: TrainingTask;
  readonly optimizer: TrainingOptimizer;
  /** Updates in all. */
  readonly steps: number;
  /** Rows per update. */
  readonly batch: number;
  /** Factor on the learning rate by step; default 1. */
  readonly schedule?: Schedule;
  /** Gradients are scaled down to this norm; default 1, null leaves them. */
  readonly clipNorm?: number | null;
  /** Validate every so many updates, and at the end; default: at the end only. */
  readonly validateEvery?: number;
  /** Rows per validation batch; default `batch`. */
  readonly validationBatch?: number;
  /** Read the loss back every so many updates (and at the last). Default 1: on the CPU it costs nothing. */
  readonly lossEvery?: number;
  /** What dropout draws from, so that checkpoints hold it. */
  readonly random?: RandomGenerator;
  /** Called after updates whose loss is read, and after validations. */
  readonly onProgress?: (progress: TrainingProgress) => void;
  /** Ends the run after the update in hand. */
  readonly signal?: AbortSignal;
}

export interface TrainingProgress {
  /** Updates done. */
  readonly step: number;
  readonly steps: number;
  /** Training loss of the latest update. */
  readonly loss: number;
  readonly gradientNorm: number;
  /** Of the latest steps; NaN before the second. */
  readonly tokensPerSecond: number;
  /** For the remaining updates, at the latest pace; NaN before the second. */
  readonly secondsLeft: number;
  /** Set when this event is a validation. */
  readonly validation?: Validation;
}

export interface TrainingResult {
  /** Whether all updates were made: false after an abort. */
  readonly finished: boolean;
  /** Updates done. */
  readonly step: number;
  readonly history: TrainingHistory;
  /** The latest validation, if there was one. */
  readonly validation: Validation | null;
  /** Time spent on updates and validation, those before a resume included. */
  readonly seconds: number;
  /** Tokens of all updates over the time of updates alone, the first left out (it plans the program). */
  readonly tokensPerSecond: number;
}

/**
 * A training loop around one compiled step: batches are written into fixed inputs, parameters and moments change in place, and only the loss
 * comes back. The same model, task and batch size give the same numbers, at once or in parts.
 */
export class Trainer {
  private readonly options: TrainerOptions;
  private readonly device: Device;
  private readonly inputs: Variable;
  private readonly targets: Variable;
  private readonly compiled: CompiledStep<[], { loss: Tensor; norm: Tensor }>;
  private evaluator: Evaluator | null = null;
  private readonly turn = new Turn();
  private history = new HistoryRecorder();
  private done = 0;
  private seconds = 0;
  private planned = false;
  private readonly timed = { steps: 0, seconds: 0 };

  constructor(options: TrainerOptions) {
    this.options = options;
    const { model, optimizer, task, batch } = options;
    checkInteger('trainer', 'steps', options.steps, 0);
    checkInteger('trainer', 'batch', batch, 1);
    checkInteger('trainer', 'length of the task', task.length, 1);
    if (options.validateEvery !== undefined) checkInteger('trainer', 'validateEvery', options.validateEvery, 1);
    if (options.validationBatch !== undefined) checkInteger('trainer', 'validationBatch', options.validationBatch, 1);
    if (options.lossEvery !== undefined) checkInteger('trainer', 'lossEvery', options.lossEvery, 1);
    if (optimizer.parameters.length === 0)
      throw new TrainingError('trainer: optimizer has no parameters, expected at least one');
    this.device = optimizer.parameters[0].device;
    [this.inputs, this.targets] = batchVariables(batch, task.length, this.device);
    const clipNorm = options.clipNorm === undefined ? 1 : options.clipNorm;
    this.compiled = compile(() => {
      model.train(true);
      const loss = crossEntropyLoss(model.forward(this.inputs), this.targets, { ignoreIndex });
      const raw = grad(loss, optimizer.parameters);
      const { gradients, norm } =
        clipNorm === null ? { gradients: raw, norm: gradientNorm(raw) } : clipGradientNorm(raw, clipNorm);
      optimizer.update(gradients);
      return { loss, norm };
    });
  }

  /** Updates done. */
  get step(): number {
    return this.done;
  }

  /**
   * Trains until all updates are made or the signal aborts, and validates at the end of a whole run.
   *
   * @throws DivergedError when a loss is not finite
   */
  async run(): Promise<TrainingResult> {
    const { steps, batch, task, schedule, optimizer, validateEvery, lossEvery = 1, onProgress } = this.options;
    const pace = new Pace();
    while (this.done < steps && !this.aborted) {
      const started = performance.now();
      const { inputs, targets } = task.trainBatch(this.done, batch);
      this.inputs.write(inputs);
      this.targets.write(targets);
      optimizer.setScheduleFactor(schedule?.(this.done) ?? 1);
      const result = this.compiled();
      const read = this.done % lossEvery === 0 || this.done + 1 === steps;
      const loss = read ? await result.loss.item() : NaN;
      const norm = read ? await result.norm.item() : NaN;
      this.done++;
      const seconds = (performance.now() - started) / 1000;
      this.count(seconds);
      pace.add(seconds);
      if (read) {
        this.history.record(this.done, loss, norm);
        onProgress?.(this.progress(pace));
        if (!Number.isFinite(loss)) throw new DivergedError(this.done, loss);
      }
      if (validateEvery !== undefined && this.done % validateEvery === 0 && this.done < steps)
        await this.validateIn(pace);
      await this.turn.pause();
    }
    const finished = this.done >= steps;
    if (finished && this.history.validations.at(-1)?.step !== this.done && !this.aborted)
      await this.validateIn(pace);
    return this.result(finished);
  }

  /** Scores the held-out data as it is now, and records it; null if the signal aborts. */
  async validate(): Promise<Validation | null> {
    const { model, task, batch, validationBatch = batch } = this.options;
    const started = performance.now();
    this.evaluator ??= new Evaluator(
      (ids) => {
        model.train(false);
        return model.forward(ids);
      },
      validationBatch,
      task.length,
      this.device,
    );
    const score = await this.evaluator.score(task.validationBatches(validationBatch), async () => {
      await this.turn.pause();
      return this.aborted;
    });
    this.seconds += (performance.now() - started) / 1000;
    if (!score) return null;
    const validation = { step: this.done, ...score };
    this.history.validations.push(validation);
    return validation;
  }

  /** All it takes to go on later, as a safetensors file: parameters, moments, random state, history. */
  async save(): Promise<Uint8Array> {
    const { task, batch } = this.options;
    const notes = { step: this.done, task: task.name, batch, history: this.history.snapshot(), seconds: this.seconds };
    return writeCheckpoint(this.state(), notes);
  }

  /**
   * Goes on from a checkpoint: the updates that follow are bit for bit those that would have followed.
   *
   * @throws TrainingError, StateDictError or SafetensorsError for a file that does not fit this run; nothing was loaded then
   */
  load(file: Uint8Array): void {
    const { task, batch } = this.options;
    const notes: CheckpointNotes = readCheckpoint(file, this.state(), { task: task.name, batch });
    this.done = notes.step;
    this.seconds = notes.seconds;
    this.history = new HistoryRecorder(notes.history);
  }

  /** Frees the compiled steps and the inputs; model and optimiser stay. */
  dispose(): void {
    this.compiled.dispose();
    this.evaluator?.dispose();
    this.inputs.dispose();
    this.targets.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What there is so far, also after an abort or an error. */
  result(finished: boolean = this.done >= this.options.steps): TrainingResult {
    const { history, seconds, done: step } = this;
    const tokens = this.timed.steps * this.options.batch * this.options.task.length;
    return {
      finished,
      step,
      history: history.snapshot(),
      validation: history.validations.at(-1) ?? null,
      seconds,
      tokensPerSecond: tokens / this.timed.seconds,
    };
  }

  private get aborted(): boolean {
    return this.options.signal?.aborted ?? false;
  }

  private state(): TrainingState {
    const { model, optimizer, random } = this.options;
    return random ? { model, optimizer, random: random.state } : { model, optimizer };
  }

  private count(seconds: number): void {
    this.seconds += seconds;
    // The first step of this object plans the program.
    if (this.planned) {
      this.timed.steps++;
      this.timed.seconds += seconds;
    }
    this.planned = true;
  }

  private async validateIn(pace: Pace): Promise<void> {
    const validation = await this.validate();
    if (validation) this.options.onProgress?.(this.progress(pace, validation));
  }

  private progress(pace: Pace, validation?: Validation): TrainingProgress {
    const { steps, batch, task } = this.options;
    const { history, done: step } = this;
    const perStep = pace.secondsPerStep;
    return {
      step,
      steps,
      loss: history.loss.at(-1) ?? NaN,
      gradientNorm: history.gradientNorm.at(-1) ?? NaN,
      tokensPerSecond: (batch * task.length) / perStep,
      secondsLeft: (steps - step) * perStep,
      ...(validation ? { validation } : {}),
    };
  }
}

/** A training loop for a model on a task. */
export function trainer(options: TrainerOptions): Trainer {
  return new Trainer(options);
}
