import { type Device, longConv, OutOfRangeError, RandomGenerator, reference, type Tensor } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { H3SSM, S4D, ShiftSSM } from '../src/index';
import { expectNumbers } from './golden';
import { disposeEmpty, evaluate, upload } from './harness';

describe('parts of H3', () => {
  let device: Device;
  let random: RandomGenerator;
  beforeAll(async () => {
    device = await reference();
    random = new RandomGenerator(3, device);
  });
  afterAll(() => {
    random.dispose();
    disposeEmpty(device);
  });
  const wave = (count: number): number[] => Array.from({ length: count }, (_, i) => Math.sin(i * i + 1));
  const host = (v: readonly number[], ...shape: number[]): Tensor => upload(device, v, ...shape);

  it('the diagonal SSM is S4D-Lin by the bilinear rule', async () => {
    const h3 = new H3SSM({ dModel: 3, dState: 8 }, random);
    const s4d = new S4D({ dModel: 3, dState: 8, discretization: 'bilinear' }, random);
    // λ here is the conjugate of λ there.
    const conjugate = (v: ArrayLike<number>): Float64Array =>
      Float64Array.from(v, (value, i) => (i % 2 === 0 ? value : -value));
    s4d.kernel.C.write(conjugate(h3.kernel.kernel.C.dataSync()));
    s4d.kernel.inv_dt.write(h3.kernel.kernel.log_dt.dataSync() as Float64Array);
    s4d.D.write(h3.D.dataSync() as Float64Array);
    const x = (): Tensor => host(wave(33), 1, 11, 3);
    expectNumbers(await evaluate(() => h3.forward(x())), await evaluate(() => s4d.forward(x())), 1e-12);
    h3.dispose();
    s4d.dispose();
  });

  it('the shift SSM starts as a convolution with C', async () => {
    const shift = new ShiftSSM({ dModel: 2, dState: 4 }, random);
    const C = Array.from(shift.kernel.C.dataSync());
    expect(Math.max(...C.map(Math.abs))).toBeLessThanOrEqual(0.5);
    const x = (): Tensor => host(wave(18), 1, 9, 2);
    const expected = await evaluate(() => longConv(x(), host(C, 2, 4).transpose()));
    expectNumbers(await evaluate(() => shift.forward(x())), expected, 1e-13);
    // K_l = Σ_j B_j C_{j+l}
    const B = wave(8);
    shift.kernel.B.write(Float64Array.from(B));
    const taps = [0, 1, 2, 3].flatMap((l) =>
      [0, 1].map((h) => B.slice(4 * h, 4 * h + 4 - l).reduce((sum, b, j) => sum + b * C[4 * h + j + l], 0)),
    );
    expectNumbers(await evaluate(() => shift.kernel.taps()), taps, 1e-13);
    shift.dispose();
  });

  it('names their parameters as the H3 repository, and says how to train them', () => {
    const layer = new H3SSM({ dModel: 4, dState: 8, nSsm: 2 }, random);
    const shift = new ShiftSSM({ dModel: 4, dState: 8, learningRate: null }, random);
    const described = [layer, shift].flatMap((l) =>
      [...l.parameters()].map(([path, v]) => [path, v.shape.join(), v.metadata]),
    );
    const slow = { learningRate: 0.001, weightDecay: false };
    expect(described.toSorted()).toEqual([
      ['D', '4', {}],
      ['kernel.B', '4,8', { weightDecay: false }],
      ['kernel.C', '1,4,8', {}],
      ['kernel.kernel.A_imag', '2,4', slow],
      ['kernel.kernel.B', '2,4,2', slow],
      ['kernel.kernel.C', '1,4,4,2', {}],
      ['kernel.kernel.inv_A_real', '2,4', slow],
      ['kernel.kernel.log_dt', '4', slow],
    ]);
    layer.dispose();
    shift.dispose();
  });

  it.each([
    [() => new H3SSM({ dModel: 4, init: 'real' as never }, random), /init is "real", expected one of lin, inv/],
    [() => new H3SSM({ dModel: 4, nSsm: 3 }, random), /nSsm is 3/],
    [() => new ShiftSSM({ dModel: 4, dState: 0 }, random), /dState is 0/],
  ])('refuses what makes no sense', (make, message) => {
    expect(make).toThrow(message);
    expect(make).toThrow(OutOfRangeError);
  });
});
