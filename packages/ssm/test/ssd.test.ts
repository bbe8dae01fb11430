import {
  type Device,
  OutOfRangeError,
  RandomGenerator,
  reference,
  scope,
  selectiveScan,
  ShapeError,
  type Tensor,
  tensor,
} from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chunkedSsd, SSD, type SSDConfig, type SsdOperands } from '../src/index';
import { expectNumbers, golden, missing, type Nested } from './golden';
import { disposeEmpty, evaluate, upload } from './harness';

describe('SSD', () => {
  let device: Device;
  beforeAll(async () => {
    device = await reference();
  });
  afterAll(() => disposeEmpty(device));
  const host = (v: readonly number[], ...shape: number[]): Tensor => upload(device, v, ...shape);
  const waves = (count: number, step: number): number[] =>
    Array.from({ length: count }, (_, i) => Math.sin(step * i + 1));

  /** Operands of 2 sequences of 11 steps, 4 heads of 3 channels in 2 groups, 5 states. */
  const operands = (): SsdOperands => ({
    x: host(waves(2 * 11 * 4 * 3, 0.7), 2, 11, 4, 3),
    logDecay: host(waves(2 * 11 * 4, 0.3), 2, 11, 4).sub(1.1),
    B: host(waves(2 * 11 * 2 * 5, 0.9), 2, 11, 2, 5),
    C: host(waves(2 * 11 * 2 * 5, 1.3), 2, 11, 2, 5),
    initialState: host(waves(2 * 4 * 3 * 5, 0.2), 2, 4, 3, 5),
    resets: tensor(
      Int32Array.from({ length: 22 }, (_, i) => Number([5, 11, 14, 15].includes(i))),
      { shape: [2, 11], device },
    ),
  });

  it.each([1, 2, 3, 4, 11, 64])('in chunks of %i equals the selective scan with one decay a head', async (size) => {
    const both = async (body: (o: SsdOperands) => Tensor[]): Promise<number[][]> => [
      await evaluate(() => body(operands())[0]),
      await evaluate(() => body(operands())[1]),
    ];
    const actual = await both((o) => chunkedSsd(o, size));
    const expected = await both(({ x, logDecay, B, C, initialState, resets }) => {
      // Δ = 1 but in the decay: Δ A = −(−ln a) with A = −1, and x is divided by Δ for the input.
      const delta = logDecay.neg();
      const perChannel = delta.unsqueeze(-1).expand(2, 11, 4, 3);
      const { y, lastState } = selectiveScan({
        u: x.div(perChannel).reshape(2, 11, 12),
        delta: perChannel.reshape(2, 11, 12),
        A: host(new Array(60).fill(-1), 12, 5),
        B,
        C,
        initialState: (initialState as Tensor).reshape(2, 12, 5),
        resets,
      });
      return [y, lastState];
    });
    actual.forEach((values, i) => expectNumbers(values, expected[i], 1e-13));
  });

  it.skipIf(missing('ssd_L6_P2_N2_chunk2'))('ssd_L6_P2_N2_chunk2', async () => {
    type Inputs = Readonly<Record<string, Nested>>;
    const { inputs, outputs, tol_rel } = golden<Inputs, Inputs>('ssd_L6_P2_N2_chunk2');
    const flat = (name: string): number[] => [inputs[name]].flat(3) as number[];
    const dt = flat('dt');
    const run = (chunk: number): Promise<number[]> =>
      evaluate(() => {
        const x = host(flat('x[t][p]'), 1, 6, 1, 2);
        const [y] = chunkedSsd(
          {
            x: x.mul(host(dt, 1, 6, 1, 1)),
            logDecay: host(dt, 1, 6, 1).mul(inputs.A as number),
            B: host(flat('B[t][n]'), 1, 6, 1, 2),
            C: host(flat('C[t][n]'), 1, 6, 1, 2),
          },
          chunk,
        );
        return y.add(x.mul(inputs.D as number));
      });
    for (const chunk of [1, 2, 6]) expectNumbers(await run(chunk), outputs['y[t][p]'], tol_rel);
  });

  const build = (config: SSDConfig): SSD => {
    const random = new RandomGenerator(3, device);
    try {
      return new SSD(config, random);
    } finally {
      random.dispose();
    }
  };

  it.each([
    [{ dModel: 6, headDim: 4 }, /headDim is 4, expected a divisor of dModel \(6\)/],
    [{ dModel: 6, headDim: 2, nGroups: 2 }, /nGroups is 2, expected a divisor of the heads \(3\)/],
    [{ dModel: 64, aInitRange: [0, 1] as const }, /aInitRange is \[0, 1\]/],
    [{ dModel: 64, dtLimit: [1, 0] as const }, /dtLimit is \[1, 0\]/],
    [{ dModel: 64, chunkSize: 0 }, /chunkSize is 0/],
    [{ dModel: 64, heads: 2 } as never, /heads is no setting/],
  ])('refuses %o', (config, message) => {
    expect(() => build(config)).toThrow(message);
    expect(() => build(config)).toThrow(OutOfRangeError);
  });

  it('a selection comes from the block, or from the layer, not from both', () => {
    const sizes = { dModel: 4, headDim: 2, dState: 3 };
    const own = build(sizes);
    const given = build({ ...sizes, projection: 'block' });
    scope(() => {
      const x = host(waves(12, 1), 1, 3, 4);
      const selection = {
        B: host(waves(9, 1), 1, 3, 3),
        C: host(waves(9, 1), 1, 3, 3),
        dt: host(waves(6, 1), 1, 3, 2),
      };
      expect(given.forward(x, { selection }).shape).toEqual([1, 3, 4]);
      expect(() => given.forward(x)).toThrow(ShapeError);
      expect(() => own.forward(x, { selection })).toThrow(/expected none/);
      expect(() => given.forward(x, { selection: { ...selection, dt: selection.B } })).toThrow(
        /selection.dt has shape \(1, 3, 3\), expected \(1, 3, 2\)/,
      );
    });
    own.dispose();
    given.dispose();
  });
});
