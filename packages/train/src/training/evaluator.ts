import {
  argmax,
  compile,
  crossEntropy,
  type Device,
  type Tensor,
  type Variable,
  variable,
  zeros,
} from '@mamba-ts/tensor';
import { ignoreIndex, type TrainingBatch } from './task';

/** The mean loss and the accuracy over some batches. */
export interface Score {
  /** Mean over scored tokens, nats; NaN when nothing was scored. */
  readonly loss: number;
  /** Share of scored tokens that the most likely token gets right. */
  readonly accuracy: number;
  /** Share of rows in which that token is right at every scored position. */
  readonly rowAccuracy: number;
  /** Tokens scored. */
  readonly scored: number;
}

/** Scores batches of one shape with a compiled step: no gradients, nothing is allocated after the first batch. */
export class Evaluator {
  private readonly inputs: Variable;
  private readonly targets: Variable;
  private readonly step: () => { nats: Tensor; correct: Tensor; wrong: Tensor };
  private readonly disposeStep: () => void;

  /** @param forward ids int32 (batch, length) → logits (batch, length, classes) */
  constructor(
    forward: (ids: Tensor) => Tensor,
    batch: number,
    private readonly length: number,
    device: Device,
  ) {
    [this.inputs, this.targets] = batchVariables(batch, length, device);
    const step = compile(() => {
      const logits = forward(this.inputs);
      const nats = crossEntropy(logits, this.targets, { ignoreIndex }).sum();
      // No class is `ignoreIndex`: a position that is not scored is never right.
      const right = argmax(logits).equal(this.targets);
      const wrong = right.or(this.targets.equal(ignoreIndex)).not().cast('float32').max(1).sum();
      return { nats, correct: right.cast('float32').sum(), wrong };
    });
    this.step = step;
    this.disposeStep = () => step.dispose();
  }

  /** Goes through all batches, with `pause` awaited between them; it may return true to stop early. */
  async score(batches: Iterable<TrainingBatch>, pause?: () => Promise<boolean>): Promise<Score | null> {
    let nats = 0;
    let correct = 0;
    let scored = 0;
    let rows = 0;
    let wrongRows = 0;
    for (const { inputs, targets } of batches) {
      if (await pause?.()) return null;
      this.inputs.write(inputs);
      this.targets.write(targets);
      const result = this.step();
      nats += await result.nats.item();
      correct += await result.correct.item();
      wrongRows += await result.wrong.item();
      for (let start = 0; start < targets.length; start += this.length) {
        const asked = targets.subarray(start, start + this.length).filter((t) => t !== ignoreIndex).length;
        scored += asked;
        if (asked > 0) rows++;
      }
    }
    return { loss: nats / scored, accuracy: correct / scored, rowAccuracy: (rows - wrongRows) / rows, scored };
  }

  dispose(): void {
    this.disposeStep();
    this.inputs.dispose();
    this.targets.dispose();
  }
}

/** Inputs and targets of a compiled step, (batch, length), fed by `write`. */
export function batchVariables(batch: number, length: number, device: Device): [Variable, Variable] {
  const make = (): Variable => {
    const initial = zeros([batch, length], { dtype: 'int32', device });
    const made = variable(initial);
    initial.dispose();
    return made;
  };
  return [make(), make()];
}
