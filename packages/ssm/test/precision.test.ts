import { Complex, cpu, type Device, RandomGenerator, reference, type Tensor, tensor } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S4, S4D, Vandermonde } from '../src/index';
import { disposeEmpty, evaluate } from './harness';

/** What float32 leaves of long kernels, against sums in float64 over the same poles. */
describe('float32 precision of long kernels', () => {
  let device: Device;
  beforeAll(async () => {
    device = await cpu({ threads: 1 });
  });
  afterAll(() => disposeEmpty(device));

  it.each([1000, 4096, 16384, 100_000])('a mode of slow decay keeps its phase over %i samples', async (length) => {
    // Frequencies up to 130 radians a sample: 1e7 radians at the end of the longest.
    const poles = [
      [-1e-5, 3],
      [-2e-5, 130.25],
      [-1e-6, -0.001],
      [-1e-5, 7.7],
    ].map((p) => p.map(Math.fround));
    const kernel = await evaluate(() => {
      const part = (i: number): Tensor =>
        tensor(
          Float32Array.from(poles, (p) => p[i]),
          { shape: [4, 1], device },
        );
      const one = tensor([[1], [1], [1], [1]], { device });
      return new Vandermonde(new Complex(part(0), part(1)), length).kernel(new Complex(one, one.mul(0)));
    });
    let worst = 0;
    for (let l = 0; l < length; l++) {
      for (let h = 0; h < 4; h++)
        worst = Math.max(worst, Math.abs(kernel[l * 4 + h] - Math.exp(poles[h][0] * l) * Math.cos(poles[h][1] * l)));
    }
    // What a recurrence in float32 has too: roundings of the frequency, l times over.
    expect(worst).toBeLessThan(1e-6 + length * 6e-7);
  });

  it('a whole layer agrees with its recurrence after 4096 samples', async () => {
    const random = new RandomGenerator(1, device);
    const layer = new S4D({ dModel: 4, init: 'legs' }, random);
    const x = random.normal([1, 4096, 4]);
    x.realize();
    const [y, state] = await Promise.all([
      evaluate(() => layer.forward(x).slice(1, 4090)),
      evaluate(() => layer.prefill(x.slice(1, 0, 4090))[1].ssm),
    ]);
    const stepped = await evaluate(() => {
      let s = { ssm: tensor(Float32Array.from(state), { shape: [1, 4, 32, 2], device }) };
      let out: Tensor | null = null;
      for (let t = 4090; t < 4096; t++) [out, s] = layer.step(x.slice(1, t, t + 1).squeeze(1), s);
      return out as Tensor;
    });
    const size = Math.max(...y.map(Math.abs));
    stepped.forEach((v, i) => expect(Math.abs(v - y[5 * 4 + i]) / size).toBeLessThan(1e-5));
    x.dispose();
    layer.dispose();
    random.dispose();
  });

  it.each([64, 500, 1024])('a kernel of S4 with 64 states has %i samples as in float64', async (length) => {
    const exact = await reference();
    const make = (on: Device): S4 => {
      const random = new RandomGenerator(1, on);
      const layer = new S4({ dModel: 4, dState: 64 }, random);
      random.dispose();
      return layer;
    };
    const [layer, oracle] = [make(device), make(exact)];
    for (const [path, v] of oracle.stateDict()) v.write(layer.stateDict().get(path)?.dataSync() as Float32Array);
    const expected = await evaluate(() => oracle.taps(length)[0]);
    const kernel = await evaluate(() => layer.taps(length)[0]);
    const norm = (v: readonly number[]): number => Math.hypot(...v);
    expect(norm(kernel.map((v, i) => v - expected[i])) / norm(expected)).toBeLessThan(2e-5);
    layer.dispose();
    oracle.dispose();
    exact.dispose();
  });
});
