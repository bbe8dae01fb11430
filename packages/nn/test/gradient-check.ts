import { grad, reference, scope, setDefaultDevice, type Tensor, tensor, type Variable } from '@mamba-ts/tensor';
import { parameter } from '@mamba-ts/nn';
import { expectClose } from './devices';
import { fixedValues } from './fixed-values';

const h = 1e-6;

/** A float input whose gradient is checked as well. */
export function input(shape: readonly number[], seed: number): Variable {
  return parameter(
    tensor(
      fixedValues(
        shape.reduce((n, d) => n * d, 1),
        seed,
      ),
      { shape },
    ),
  );
}

/**
 * Compares the gradients of Σ y·c, with fixed numbers c, to central differences in float64.
 *
 * @param build makes the function and the variables that it is differentiated by, on the reference device
 */
export async function checkGradients(build: () => { wrt: readonly Variable[]; y: () => Tensor }): Promise<void> {
  const device = await reference();
  const previous = setDefaultDevice(device);
  try {
    const { wrt, y } = build();
    const loss = (): Tensor => {
      const out = y();
      return out.mul(tensor(fixedValues(out.size, 99), { shape: out.shape })).sum();
    };
    const value = (): number => scope(() => Number(loss().dataSync()[0]));
    const gradients = scope(() => grad(loss(), wrt).map((g) => g.dataSync()));
    wrt.forEach((v, n) => {
      const base = v.dataSync() as Float64Array;
      const numeric = base.map((x, i) => {
        const at = (shifted: number): number => {
          v.write(base.map((old, j) => (j === i ? shifted : old)));
          return value();
        };
        return (at(x + h) - at(x - h)) / (2 * h);
      });
      v.write(base);
      expectClose(gradients[n], numeric, 1e-7);
    });
  } finally {
    setDefaultDevice(previous);
    device.dispose();
  }
}
