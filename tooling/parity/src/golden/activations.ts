import { gelu, silu, type Tensor } from '@mamba-ts/tensor';
import type { Result } from '../family';
import { evaluate, type ParityDevice, upload } from '../parity-device';
import { agreement, type GoldenCase } from './golden-case';

const activations: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  gelu_exact: (x) => gelu(x),
  gelu_tanh: (x) => gelu(x, 'tanh'),
  silu,
  softplus: (x) => x.softplus(),
  sigmoid: (x) => x.sigmoid(),
};

export function* checkActivations(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const x = golden.input('x');
  for (const on of devices) {
    const agrees = agreement(golden, on);
    for (const [name, activation] of Object.entries(activations)) {
      if (!golden.hasOutput(name)) continue;
      const { y } = evaluate(() => ({ y: activation(upload(on, x)) }));
      yield agrees(name, y, golden.output(name).data);
    }
  }
}
