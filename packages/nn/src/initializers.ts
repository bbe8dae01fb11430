import { full, type RandomGenerator, type Shape, ShapeError, formatShape, type Tensor } from '@mamba-ts/tensor';
import { checkNumber, checkPositive } from './argument';

/** Makes the first value of a parameter, on the generator's device. */
export type Initializer = (shape: Shape, random: RandomGenerator) => Tensor;

export function uniform(low: number, high: number): Initializer {
  checkNumber('initializers.uniform', 'low', low);
  checkNumber('initializers.uniform', 'high', high, low);
  return (shape, random) => random.uniform(shape, low, high);
}

export function normal(mean = 0, deviation = 1): Initializer {
  checkNumber('initializers.normal', 'mean', mean);
  checkNumber('initializers.normal', 'deviation', deviation, 0);
  return (shape, random) => random.normal(shape, mean, deviation);
}

export function constant(value: number): Initializer {
  return (shape, random) => full(shape, value, { device: random.state.device });
}

/**
 * U(±1/√fanIn): what PyTorch gives the weights of Linear and Conv1d. The default `fanIn` is the number of weights that
 * meet in one output, all axes but the first: (outputs, inputs) or (channels, inputs per group, width).
 */
export function uniformFanIn(fanIn?: number): Initializer {
  return kaimingUniform({ fanIn });
}

/**
 * U(±√(6 / ((1 + a²)·fanIn))) (He et al. 2015, for a leaky ReLU of slope a). PyTorch calls it with a = √5, which is
 * U(±1/√fanIn).
 */
export function kaimingUniform(options: { a?: number; fanIn?: number } = {}): Initializer {
  const { a = Math.sqrt(5), fanIn } = options;
  checkNumber('initializers.kaimingUniform', 'a', a);
  if (fanIn !== undefined) checkPositive('initializers.kaimingUniform', 'fanIn', fanIn);
  return (shape, random) => {
    const bound = Math.sqrt(6 / ((1 + a * a) * (fanIn ?? fanInOf(shape))));
    return random.uniform(shape, -bound, bound);
  };
}

/**
 * Another initializer's values times `factor`, e.g. 1/√nLayer for the projections that write into a residual stream.
 */
export function scaled(initializer: Initializer, factor: number): Initializer {
  checkNumber('initializers.scaled', 'factor', factor);
  return (shape, random) => initializer(shape, random).mul(factor);
}

function fanInOf(shape: Shape): number {
  const fanIn = shape.slice(1).reduce((n, d) => n * d, 1);
  if (shape.length < 2 || fanIn === 0) {
    const got = `the parameter has shape ${formatShape(shape)}`;
    throw new ShapeError(`initializers: ${got}, which has no fan-in: expected at least 2 axes, or pass fanIn`);
  }
  return fanIn;
}
