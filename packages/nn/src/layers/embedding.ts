import { gather, type RandomGenerator, type Tensor, type Variable } from '@mamba-ts/tensor';
import { checkInteger } from '../argument';
import { type Initializer, normal } from '../initializers';
import { Module } from '../module';
import { initialized } from '../parameter';

export interface EmbeddingOptions {
  /** Default N(0, 0.02²), the language models' (PyTorch's own is N(0, 1)). */
  readonly weightInit?: Initializer;
}

/** A table of vectors, looked up by id. */
export class Embedding extends Module {
  /** (rows, width) */
  readonly weight: Variable;

  constructor(rows: number, width: number, random: RandomGenerator, options: EmbeddingOptions = {}) {
    super();
    checkInteger('Embedding', 'rows', rows, 1);
    checkInteger('Embedding', 'width', width, 1);
    this.weight = initialized([rows, width], random, options.weightInit ?? normal(0, 0.02), { halfPrecision: true });
  }

  /**
   * @param ids int32 (…)
   * @returns (…, width)
   * @throws OutOfRangeError, when computed, for an id outside [0, rows)
   */
  forward(ids: Tensor): Tensor {
    return gather(this.weight, ids);
  }
}
