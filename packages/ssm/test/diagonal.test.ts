import { Complex, type Device, grad, reference, type Tensor } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Discretization, discretize, Vandermonde } from '../src/index';
import { angle } from '../src/complex-angle';
import { expectNumbers, golden, missing } from './golden';
import { disposeEmpty, evaluate, upload } from './harness';

let device: Device;
beforeAll(async () => {
  device = await reference();
});
afterAll(() => disposeEmpty(device));

interface DiscretizedRow extends Record<Discretization, { readonly dA: number[]; readonly dB_over_B: number[] }> {
  readonly lambda: number[];
  readonly dt: number;
}

const host = (values: readonly number[], ...shape: number[]): Tensor => upload(device, values, ...shape);
/** Numbers (re, im) as (1, count), or of `shape`. */
const complex = (pairs: readonly (readonly number[])[], ...shape: number[]): Complex => {
  const size = shape.length > 0 ? shape : [1, pairs.length];
  return new Complex(
    host(
      pairs.map((p) => p[0]),
      ...size,
    ),
    host(
      pairs.map((p) => p[1]),
      ...size,
    ),
  );
};

describe('angle', () => {
  it('is atan2 in every direction and at every size', async () => {
    const points: number[][] = [
      [1, 0],
      [0, 1],
      [-1, 0],
      [0, -1],
      [-1, 1e-9],
      [-1, -1e-9],
      [1, 1e-12],
      [1, -1e-300],
    ];
    for (let i = 0; i < 200; i++) points.push([Math.cos(i * 0.37) * 10 ** (i % 7), Math.sin(i * 0.37) * 10 ** (i % 7)]);
    const found = await evaluate(() => angle(complex(points)));
    points.forEach(([re, im], i) =>
      expect(
        Math.abs(found[i] - Math.atan2(im, re)) <= 4e-15 * Math.abs(Math.atan2(im, re)),
        `${re} + ${im}i: ${found[i]}`,
      ).toBe(true),
    );
  });
  it('has the gradient (−y, x)/r²', async () => {
    const points = [
      [3, 4],
      [-1, 0.5],
      [-2, -2],
      [0.1, -5],
    ];
    const found = await evaluate(() => {
      const z = complex(points);
      const [re, im] = grad(angle(z).sum(), [z.re, z.im]);
      return new Complex(re, im).toPairs();
    });
    expectNumbers(
      found,
      points.map(([x, y]) => [-y / (x * x + y * y), x / (x * x + y * y)]),
      1e-14,
    );
  });
});

describe('discretize', () => {
  it.skipIf(missing('discretize_scalar'))(
    'discretize_scalar: zero-order hold and bilinear, to tiny poles',
    async () => {
      const { outputs } = golden<unknown, { rows: DiscretizedRow[] }>('discretize_scalar');
      for (const row of outputs.rows) {
        for (const kind of ['zoh', 'bilinear'] as const) {
          const found = await evaluate(() => {
            const { logA, inputScale } = discretize(complex([row.lambda]), host([row.dt], 1, 1), kind);
            const A = logA.exp();
            return new Complex(A.re, A.im)
              .toPairs()
              .add(0)
              .reshape(2)
              .pad(0, 0, 2)
              .add(inputScale.toPairs().reshape(2).pad(0, 2, 0));
          });
          // log Ā of the bilinear rule at a pole of −16 is that of a number near 0: relative to 1.
          const [aRe, aIm] = row[kind].dA;
          expect(
            Math.hypot(found[0] - aRe, found[1] - aIm),
            `${kind}, lambda ${row.lambda}, dt ${row.dt}: A`,
          ).toBeLessThan(1e-13);
          const [bRe, bIm] = row[kind].dB_over_B;
          expect(
            Math.hypot(found[2] - bRe, found[3] - bIm) / Math.hypot(bRe, bIm),
            `${kind}, lambda ${row.lambda}, dt ${row.dt}: B`,
          ).toBeLessThan(1e-12);
        }
      }
    },
  );
});

describe('Vandermonde', () => {
  it.skipIf(missing('log_vandermonde'))('log_vandermonde: kernel', async () => {
    const { inputs, outputs, tol_rel } = golden<{ x: number[][]; v: number[][]; L: number }, { K: number[] }>(
      'log_vandermonde',
    );
    const found = await evaluate(() => new Vandermonde(complex(inputs.x), inputs.L).kernel(complex(inputs.v).scale(2)));
    expectNumbers(found, outputs.K, tol_rel);
  });

  it.each([1, 2, 31, 32, 33, 64, 100, 1000])(
    'kernel, response, correlation and decay equal direct sums at length %i',
    async (length) => {
      const poles = [
        [-0.02, 0.7],
        [-0.3, 40.1],
        [-0.001, -3],
        [-1, 0],
      ];
      const weights = [
        [0.5, -0.25],
        [-1, 0.75],
        [0.2, 0.9],
        [1, 0.1],
      ];
      const channels = 2;
      const states = 2;
      const power = (n: number, l: number): [number, number] => {
        const r = Math.exp(poles[n][0] * l);
        return [r * Math.cos(poles[n][1] * l), r * Math.sin(poles[n][1] * l)];
      };
      const u = Array.from({ length: length * channels }, (_, i) => Math.sin(i * 1.7) + 0.3);
      const expectedKernel: number[] = [];
      for (let l = 0; l < length; l++) {
        for (let h = 0; h < channels; h++) {
          let sum = 0;
          for (let n = 0; n < states; n++) {
            const [re, im] = power(h * states + n, l);
            const [wRe, wIm] = weights[h * states + n];
            sum += wRe * re - wIm * im;
          }
          expectedKernel.push(sum);
        }
      }
      const expectedState: number[] = [];
      for (let n = 0; n < 4; n++) {
        let [re, im] = [0, 0];
        for (let l = 0; l < length; l++) {
          const [pRe, pIm] = power(n, length - 1 - l);
          re += pRe * u[l * channels + Math.floor(n / states)];
          im += pIm * u[l * channels + Math.floor(n / states)];
        }
        expectedState.push(re, im);
      }
      const expectedDecay = weights.flatMap(([wRe, wIm], n) => {
        const [re, im] = power(n, length);
        return [wRe * re - wIm * im, wRe * im + wIm * re];
      });
      const logA = (): Complex => complex(poles, channels, states);
      expectNumbers(
        await evaluate(() => new Vandermonde(logA(), length).kernel(complex(weights, channels, states))),
        expectedKernel,
        1e-12,
      );
      // A response with the same coefficients for every sequence is the kernel.
      expectNumbers(
        await evaluate(() =>
          new Vandermonde(logA(), length).response(complex(weights.concat(weights), 2, channels, states)),
        ),
        expectedKernel.concat(expectedKernel),
        1e-12,
      );
      expectNumbers(
        await evaluate(() => new Vandermonde(logA(), length).correlate(host(u, 1, length, channels)).toPairs()),
        expectedState,
        1e-12,
      );
      expectNumbers(
        await evaluate(() => new Vandermonde(logA(), length).decay(complex(weights, 1, channels, states)).toPairs()),
        expectedDecay,
        1e-12,
      );
    },
  );

  it('differentiates the phase, whose turns are dropped', async () => {
    const loss = (im: number): Tensor =>
      new Vandermonde(new Complex(host([-0.01], 1, 1), host([im], 1, 1)), 50)
        .kernel(complex([[0.3, -0.8]]))
        .square()
        .sum();
    const at = 2.9;
    const [exact] = await evaluate(() => {
      const im = host([at], 1, 1);
      const y = new Vandermonde(new Complex(host([-0.01], 1, 1), im), 50)
        .kernel(complex([[0.3, -0.8]]))
        .square()
        .sum();
      return grad(y, [im])[0];
    });
    const [up] = await evaluate(() => loss(at + 1e-6).reshape(1));
    const [down] = await evaluate(() => loss(at - 1e-6).reshape(1));
    expect(exact).toBeCloseTo((up - down) / 2e-6, 4);
  });
});
