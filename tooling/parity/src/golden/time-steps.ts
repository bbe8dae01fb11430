import { S4DKernel, TimeStepProjection } from '@mamba-ts/ssm';
import { type Device, RandomGenerator, type Shape, type Tensor, tensor } from '@mamba-ts/tensor';
import type { Result } from '../family';
import { evaluate, type ParityDevice } from '../parity-device';
import { agreement, type GoldenCase } from './golden-case';

/** Gives the same uniform numbers whenever it is asked. */
class FixedUniform extends RandomGenerator {
  constructor(
    private readonly values: Float64Array,
    device: Device,
  ) {
    super(0, device);
  }

  override uniform(shape: Shape, low: number = 0, high: number = 1): Tensor {
    const scaled = this.values.map((value) => low + (high - low) * value);
    return tensor(scaled, { shape, device: this.state.device });
  }
}

/** Initial time steps from uniform numbers U, as S4D keeps them, and as the bias of S6. */
export function* checkTimeSteps(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const uniform = golden.input('U').data;
  const range = { dModel: uniform.length, dtMin: golden.inputNumber('dt_min'), dtMax: golden.inputNumber('dt_max') };
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const found = evaluate(() => {
      const random = new FixedUniform(uniform, on.device);
      return {
        dt: new S4DKernel({ ...range, dState: 2 }, random).inv_dt.exp(),
        bias: new TimeStepProjection(range, 0, random).bias,
      };
    });
    yield agrees.each('dt', found.dt, golden.output('dt').data);
    yield agrees.each('bias', found.bias, golden.output('bias').data);
  }
}
