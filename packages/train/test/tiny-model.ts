import { Embedding, Linear, Module } from '@mamba-ts/nn';
import { cpu, type Device, RandomGenerator, reference, type Tensor } from '@mamba-ts/tensor';
import type { TrainingBatch, TrainingTask } from '@mamba-ts/train';

export const devices: readonly (readonly [name: string, make: () => Promise<Device>])[] = [
  ['reference', reference],
  ['cpu', () => cpu({ threads: 1 })],
];

/** Predicts from the token alone. */
export class TinyModel extends Module {
  readonly embedding: Embedding;
  readonly head: Linear;

  constructor(classes: number, device: Device, seed = 1) {
    super();
    const random = new RandomGenerator(seed, device);
    this.embedding = new Embedding(classes, 6, random);
    this.head = new Linear(6, classes, random);
    random.dispose();
  }

  forward(ids: Tensor): Tensor {
    return this.head.forward(this.embedding.forward(ids));
  }
}

/** Says (3 · token + 1) mod classes; every third position is not scored. */
export class TinyTask implements TrainingTask {
  readonly name: string = 'tiny';
  readonly length: number = 7;
  readonly asked: number[] = [];

  constructor(readonly classes: number) {}

  trainBatch(index: number, batch: number): TrainingBatch {
    this.asked.push(index);
    return this.make(index * 31 + 1, batch, batch);
  }

  *validationBatches(batch: number): Generator<TrainingBatch> {
    yield this.make(7919, batch, batch);
    yield this.make(7927, batch, 1);
  }

  private make(start: number, batch: number, rows: number): TrainingBatch {
    const inputs = Int32Array.from({ length: batch * this.length }, (_, i) => (start + i * i * 5) % this.classes);
    const targets = inputs.map((t, i) => (i % 3 === 2 || i >= rows * this.length ? -100 : (3 * t + 1) % this.classes));
    return { inputs, targets };
  }
}
