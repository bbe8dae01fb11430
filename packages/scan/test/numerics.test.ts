// The kernels' own elementary functions, seen through scans of one step, and numbers at the edges.
import { describe, expect, it } from 'vitest';
import { type ScanInputs, type ScanShape, type ScanVariant, ScanRuntime, selectiveScanReference } from '@mamba-ts/scan';

const variants: readonly ScanVariant[] = ['simd', 'relaxed'];

function shapeOf(channels: number, shape: Partial<ScanShape> = {}): ScanShape {
  return {
    batch: 1,
    length: 1,
    channels,
    dState: 1,
    groups: 1,
    complex: false,
    variableB: true,
    variableC: true,
    ...shape,
  };
}

const range = (count: number, from: number, to: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));
const fill = (count: number, value: number): Float32Array => new Float32Array(count).fill(value);

describe.each(variants)('%s', (variant) => {
  const runtime = new ScanRuntime({ variant });

  /** 2^(A log2 e) as the kernel computes it: the state after one step with dt = 1 and no input, from a state of 1. */
  function decayOf(A: Float32Array): Float32Array {
    const shape = shapeOf(A.length);
    const inputs = {
      u: fill(A.length, 0),
      delta: fill(A.length, 1),
      A,
      B: fill(1, 0),
      C: fill(1, 0),
      initialState: fill(A.length, 1),
    };
    return runtime.forward(shape, inputs, {}).lastState;
  }

  it('exp has a relative error below 2e-7 in its reduced argument', () => {
    const A = range(200_003, -87, 88);
    const actual = decayOf(A);
    let worst = 0;
    A.forEach((x, i) => {
      const argument = Math.fround(x * Math.fround(Math.LOG2E));
      worst = Math.max(worst, Math.abs(actual[i] / 2 ** argument - 1));
    });
    expect(worst).toBeLessThan(2e-7);
    expect(worst).toBeGreaterThan(0);
  });

  it('exp is exact at 0, 0 far below and infinite far above, and NaN only of NaN', () => {
    const actual = decayOf(new Float32Array([0, -200, -1e30, -Infinity, 200, 1e30, Infinity, NaN, -0]));
    expect([...actual]).toEqual([1, 0, 0, 0, Infinity, Infinity, Infinity, NaN, 1]);
  });

  it('exp falls to 0 without a step back', () => {
    const actual = decayOf(range(5000, -89, -86));
    expect(actual.every((value, i) => value >= 0 && (i === 0 || value >= actual[i - 1]))).toBe(true);
    expect(actual[0]).toBe(0);
  });

  it('softplus has a relative error below 4e-7 and is the identity above 20', () => {
    const delta = range(100_001, -80, 40);
    const one = fill(1, 1);
    const inputs = { u: fill(delta.length, 1), delta, A: fill(delta.length, 0), B: one, C: one };
    const { y } = runtime.forward(shapeOf(delta.length), inputs, { deltaSoftplus: true });
    let worst = 0;
    delta.forEach((x, i) => {
      const expected = x > 20 ? x : Math.log1p(Math.exp(x));
      worst = Math.max(worst, Math.abs(y[i] / expected - 1));
    });
    expect(worst).toBeLessThan(4e-7);
    const above = delta.findIndex((x) => x > 20);
    expect(y.slice(above)).toEqual(delta.slice(above));
  });

  it('silu is exact to float32 and 0 or the identity far out', () => {
    const z = Float32Array.from([...range(100_000, -80, 80), -1e30, 1e30, -1000, 1000, 0]);
    const inputs = {
      u: fill(z.length, 1),
      delta: fill(z.length, 0),
      A: fill(z.length, 0),
      B: fill(1, 0),
      C: fill(1, 0),
      D: fill(z.length, 1),
      z,
    };
    const { y } = runtime.forward(shapeOf(z.length), inputs, {});
    z.forEach((x, i) => {
      const expected = x / (1 + Math.exp(-x));
      expect(Math.abs(y[i] - expected)).toBeLessThanOrEqual(5e-7 * Math.abs(expected) + 1e-37);
    });
    expect([...y.slice(-5)]).toEqual([-0, Math.fround(1e30), -0, 1000, 0]);
  });

  it('sine and cosine of large angles are those of the float32 angle', () => {
    const angles = range(40_001, -300, 300);
    const count = angles.length;
    const A = new Float32Array(2 * count);
    const initialState = new Float32Array(2 * count);
    angles.forEach((x, i) => {
      A[2 * i + 1] = x;
      initialState[2 * i] = 1;
    });
    const two = fill(2, 0);
    const inputs = { u: fill(count, 0), delta: fill(count, 1), A, B: two, C: two, initialState };
    const { lastState } = runtime.forward(shapeOf(count, { complex: true }), inputs, {});
    angles.forEach((x, i) => {
      const bound = 3e-7 + Math.abs(x) * 1.3e-7; // float32 rounding of x 2/pi, and of 2/pi itself
      expect(Math.abs(lastState[2 * i] - Math.cos(x))).toBeLessThan(bound);
      expect(Math.abs(lastState[2 * i + 1] - Math.sin(x))).toBeLessThan(bound);
    });
  });

  it('a decay that underflows forgets, with gradients of 0 and no NaN', () => {
    const shape = shapeOf(5, { length: 70, dState: 3 });
    const steps = range(5 * 70, 50, 100);
    const inputs: ScanInputs = { u: fill(350, 1), delta: steps, A: fill(15, -40), B: fill(210, 1), C: fill(210, 1) };
    const { y } = runtime.forward(shape, inputs, {});
    y.forEach((value, i) => expect(value).toBeCloseTo(3 * steps[i], 3));
    const gradients = runtime.backward(shape, inputs, { y: fill(350, 1) }, {});
    expect([...gradients.A]).toEqual([...fill(15, 0)]);
    for (const value of Object.values(gradients)) expect((value as Float32Array).every(Number.isFinite)).toBe(true);
  });

  it('a slow decay over 20000 steps keeps its precision', () => {
    const shape = shapeOf(4, { length: 20_000 });
    const inputs: ScanInputs = {
      u: range(80_000, 0, 1),
      delta: fill(80_000, 0.01),
      A: fill(4, -0.01),
      B: fill(20_000, 1),
      C: fill(20_000, 1),
    };
    const { lastState } = runtime.forward(shape, inputs, {});
    const expected = selectiveScanReference(shape, inputs).lastState;
    lastState.forEach((value, i) => expect(Math.abs(value / expected[i] - 1)).toBeLessThan(2e-4));
  });

  it('NaN and infinity stay in their channel and sequence', () => {
    const shape = shapeOf(6, { batch: 2, length: 5 });
    const steps = fill(60, 0.5);
    const u = fill(60, 1);
    u[8] = NaN; // sequence 0, step 1, channel 2
    const { y } = runtime.forward(shape, { u, delta: steps, A: fill(6, -1), B: fill(10, 1), C: fill(10, 1) }, {});
    y.forEach((value, i) => expect(Number.isNaN(value)).toBe(i < 30 && i % 6 === 2 && i >= 6));
  });
});
