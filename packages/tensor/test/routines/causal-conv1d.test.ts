import { expect, it } from 'vitest';
import { causalConv1d, causalConv1dBackward } from '../../src/cpu/routines/causal-conv1d';
import {
  causalConv1d as forwardOracle,
  causalConv1dBackward as backwardOracle,
} from '../../src/reference/routines/causal-conv1d';
import { complaints, f32, i32, Noise, reference, routineCall } from './harness';

interface Case {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  readonly width: number;
  readonly bias?: boolean;
  readonly initial?: boolean;
  /** One reset in about this many steps; 0: none given. */
  readonly resetEvery?: number;
}

function inputsOf({ batch, length, channels, width, bias = true, initial = false, resetEvery = 0 }: Case) {
  const noise = new Noise(length * 131 + channels * 7 + width);
  return {
    x: noise.floats(batch * length * channels),
    gradY: noise.floats(batch * length * channels),
    weight: noise.floats(channels * width),
    bias: bias ? noise.floats(channels) : null,
    initial: initial ? noise.floats(batch * (width - 1) * channels) : null,
    resets:
      resetEvery > 0
        ? Int32Array.from({ length: batch * length }, () => (noise.integer(resetEvery) === 0 ? 1 : 0))
        : null,
  };
}

function calls({ batch, length, channels, width, bias = true, initial = false, resetEvery = 0 }: Case) {
  const x = f32(batch, length, channels);
  const weight = f32(channels, width);
  const before = f32(batch, width - 1, channels);
  const first = initial ? before : null;
  const resets = resetEvery > 0 ? i32(batch, length) : null;
  return {
    forward: routineCall('causalConv1d', [x, weight, bias ? f32(channels) : null, first, resets], [x]),
    backward: routineCall('causalConv1dBackward', [x, x, weight, first, resets], [x, weight, f32(channels), before]),
  };
}

function check(c: Case): string[] {
  const i = inputsOf(c);
  const { forward, backward } = calls(c);
  const rows = 2e-6 * Math.sqrt(c.batch * c.length + 1);
  return [
    ...complaints(causalConv1d, forwardOracle, forward, [i.x, i.weight, i.bias, i.initial, i.resets], {
      tolerance: 1e-6 + 2e-7 * c.width,
    }),
    ...complaints(causalConv1dBackward, backwardOracle, backward, [i.gradY, i.x, i.weight, i.initial, i.resets], {
      tolerance: [1e-6 + 2e-7 * c.width, rows, rows, 1e-6 + 2e-7 * c.width],
    }),
  ];
}

it('agrees with the reference over lengths, channels and widths', () => {
  const found: string[] = [];
  for (const width of [1, 2, 3, 4, 5, 7, 9]) {
    for (const length of [1, 2, 3, 4, 5, 8, 13, 37]) {
      for (const channels of [1, 3, 4, 6, 8]) {
        for (const initial of [false, true])
          for (const resetEvery of [0, 4])
            found.push(...check({ batch: 2, length, channels, width, initial, resetEvery }));
      }
    }
  }
  expect(found).toEqual([]);
});

it.each<Case>([
  { batch: 8, length: 256, channels: 128, width: 4 },
  { batch: 3, length: 301, channels: 37, width: 4, initial: true, resetEvery: 100 },
  { batch: 2, length: 700, channels: 5, width: 20, bias: false, initial: true, resetEvery: 300 },
  { batch: 40, length: 9, channels: 66, width: 4, resetEvery: 7 },
  { batch: 1, length: 5000, channels: 12, width: 3, bias: false },
])('agrees with the reference at %o', (c) => {
  expect(check(c)).toEqual([]);
});

it('resets at step 0 and at every step', () => {
  for (const flags of [
    [1, 0, 0, 0, 0, 0, 0],
    [1, 1, 1, 1, 1, 1, 1],
    [0, 0, 0, 0, 0, 0, 1],
    [0, 0, 1, 0, 0, 0, 0],
  ]) {
    const c = { batch: 1, length: 7, channels: 5, width: 4, initial: true, resetEvery: 1 };
    const i = { ...inputsOf(c), resets: Int32Array.from(flags) };
    const { forward, backward } = calls(c);
    expect(
      complaints(causalConv1d, forwardOracle, forward, [i.x, i.weight, i.bias, i.initial, i.resets], {
        tolerance: 2e-6,
      }),
    ).toEqual([]);
    expect(
      complaints(causalConv1dBackward, backwardOracle, backward, [i.gradY, i.x, i.weight, i.initial, i.resets], {
        tolerance: 2e-6,
      }),
    ).toEqual([]);
  }
});

it('takes empty batches, lengths and channels', () => {
  for (const [batch, length, channels] of [
    [0, 5, 4],
    [2, 0, 4],
    [2, 5, 0],
  ]) {
    expect(check({ batch, length, channels, width: 4, initial: true })).toEqual([]);
    expect(check({ batch, length, channels, width: 3 })).toEqual([]);
  }
});

it('has a reference whose backward is the derivative of its forward', () => {
  const c = { batch: 2, length: 6, channels: 3, width: 4, initial: true, resetEvery: 4 };
  const i = inputsOf(c);
  const { forward, backward } = calls(c);
  const loss = ([x, weight, bias, initial]: Float32Array[]): number =>
    Array.from(reference(forwardOracle, forward, [x, weight, bias, initial, i.resets])[0]).reduce(
      (sum, y, at) => sum + y * i.gradY[at],
      0,
    );
  const gradients = reference(backwardOracle, backward, [i.gradY, i.x, i.weight, i.initial, i.resets]);
  const operands = [i.x, i.weight, i.bias, i.initial] as Float32Array[];
  operands.forEach((operand, which) => {
    for (let at = 0; at < operand.length; at++) {
      // The function is linear in each operand, so a step of any size is exact: the one to 0.
      const moved = operands.map((values, k) => (k === which ? values.map((v, p) => (p === at ? 0 : v)) : values));
      expect(gradients[which][at] * operand[at]).toBeCloseTo(loss(operands) - loss(moved), 12);
    }
  });
});
