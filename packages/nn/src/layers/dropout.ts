import type { RandomGenerator, Tensor } from '@mamba-ts/tensor';
import { checkNumber } from '../argument';
import { Module } from '../module';

/**
 * While training, zeroes each element with probability `rate` and scales the others by 1/(1 − rate); else the identity.
 * Whether it trains is read when the function is called: a compiled step keeps what it was traced with, so compile
 * evaluation as a function of its own.
 */
export class Dropout extends Module {
  readonly rate: number;
  private readonly random: RandomGenerator;

  constructor(rate: number, random: RandomGenerator) {
    super();
    this.rate = checkNumber('Dropout', 'rate', rate, 0, 1);
    this.random = random;
  }

  forward(x: Tensor): Tensor {
    if (!this.training || this.rate === 0) return x;
    const kept = 1 - this.rate;
    return x.mul(this.random.bernoulli(x.shape, kept).mul(1 / kept));
  }
}
