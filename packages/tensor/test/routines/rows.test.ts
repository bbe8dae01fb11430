import { expect, it } from 'vitest';
import { faultError } from '../../src/cpu/fault';
import type { CpuRoutine } from '../../src/cpu/routine';
import { argmax } from '../../src/cpu/routines/argmax';
import { crossEntropy } from '../../src/cpu/routines/cross-entropy';
import { cumsum } from '../../src/cpu/routines/cumsum';
import { gather } from '../../src/cpu/routines/gather';
import { scatterAdd } from '../../src/cpu/routines/scatter-add';
import { sort } from '../../src/cpu/routines/sort';
import { OutOfRangeError } from '../../src/errors';
import { referenceRoutines } from '../../src/reference/routines';
import type { RoutineCall } from '../../src/compile/program';
import { complaints, f32, i32, kernelMachine, Noise, reference, routineCall, type Values, variants } from './harness';

const exact = { tolerance: 0 };

function gatherCall(rows: number, width: number, count: number): RoutineCall {
  return routineCall('gather', [f32(rows, width), i32(count)], [f32(count, width)]);
}

function scatterCall(rows: number, width: number, count: number): RoutineCall {
  return routineCall('scatterAdd', [f32(count, width), i32(count)], [f32(rows, width)], { rows });
}

it('gathers rows', () => {
  const noise = new Noise(1);
  for (const [rows, width, count] of [
    [1, 1, 1],
    [7, 1, 30],
    [5, 3, 9],
    [256, 64, 2048],
    [300, 97, 700],
    [11, 513, 40],
    [9, 2000, 70],
    [4, 5, 0],
    [4, 0, 3],
  ]) {
    const inputs = [noise.floats(rows * width), noise.integers(count, rows)];
    expect(complaints(gather, referenceRoutines.gather, gatherCall(rows, width, count), inputs, exact)).toEqual([]);
  }
});

it('adds up rows in order', () => {
  const noise = new Noise(2);
  for (const [rows, width, count] of [
    [1, 1, 1],
    [7, 1, 3000],
    [5, 3, 9],
    [256, 64, 2048],
    [300, 97, 700],
    [11, 513, 40],
    [5000, 4, 20],
    [4, 5, 0],
    [0, 5, 0],
    [4, 0, 3],
  ]) {
    const inputs = [noise.floats(rows === 0 ? 0 : count * width), noise.integers(count, rows)];
    expect(
      complaints(scatterAdd, referenceRoutines.scatterAdd, scatterCall(rows, width, count), inputs, {
        tolerance: 4e-4,
      }),
    ).toEqual([]);
  }
  // In ascending order of position: 1e8 + 1 - 1e8 is 0 in float32, every other order but one gives 1.
  const call = scatterCall(1, 1, 3);
  for (const variant of variants) {
    expect(
      kernelMachine(variant).run(scatterAdd, call, [Float32Array.of(1e8, 1, -1e8), Int32Array.of(0, 0, 0)])
        .outputs[0][0],
    ).toBe(0);
  }
});

function crossEntropyCall(rows: number, classes: number, ignoreIndex = -100): RoutineCall {
  return routineCall('crossEntropy', [f32(rows, classes), i32(rows)], [f32(rows), f32(rows)], { ignoreIndex });
}

it('computes cross entropy', () => {
  const noise = new Noise(3);
  for (const [rows, classes, scale] of [
    [1, 1, 1],
    [1, 2, 5],
    [3, 3, 1],
    [2048, 17, 4],
    [300, 256, 10],
    [5, 4096, 3],
    [3, 10001, 20],
    [9, 8, 100],
    [0, 5, 1],
  ]) {
    const logits = noise.floats(rows * classes, scale);
    const targets = noise.integers(rows, classes).map((t) => (noise.integer(5) === 0 ? -100 : t));
    const call = crossEntropyCall(rows, classes);
    expect(
      complaints(crossEntropy, referenceRoutines.crossEntropy, call, [logits, targets], {
        tolerance: 3e-7 + scale * 1.2e-7,
      }),
    ).toEqual([]);
  }
});

it('computes cross entropy of extreme logits', () => {
  const inf = Infinity;
  const rows: number[][] = [
    [3e38, -3e38, 1, 2, 3],
    [-inf, 0, 1, -inf, 2],
    [-inf, -inf, -inf, -inf, -inf],
    [inf, 0, 0, 0, 0],
    [0, NaN, 0, 0, 0],
    [inf, 0, 0, 0, NaN],
    [1e5, 1e5, 1e5, 1e5, 1e5],
    [-1e30, -1e30, -1e30, -1e30, -1e30],
    [0, -87, -88, -103, -104],
    [0, -15, -16, -17, -18],
  ];
  const call = crossEntropyCall(rows.length, 5);
  const logits = Float32Array.from(rows.flat());
  for (const target of [0, 1, 4]) {
    const inputs = [logits, new Int32Array(rows.length).fill(target)];
    const tolerance = (x: number): number => Math.abs(x) * 6e-8 + 6e-8;
    const expected = reference(referenceRoutines.crossEntropy, call, inputs);
    for (const variant of variants) {
      const { outputs } = kernelMachine(variant).run(crossEntropy, call, inputs);
      expected.forEach((values, o) =>
        values.forEach((x, r) => {
          const y = outputs[o][r];
          // Beyond the range of float32 the float64 reference is infinite here.
          const wanted = Math.fround(x);
          if (!Number.isFinite(wanted)) expect(y, `row ${r}`).toBe(wanted);
          else expect(Math.abs(y - x), `row ${r}`).toBeLessThanOrEqual(tolerance(x));
        }),
      );
    }
  }
  // The maximum moves from block to block, over more than one block.
  const long = Float32Array.from({ length: 7000 }, (_, i) => i / 30);
  const longCall = crossEntropyCall(1, 7000);
  expect(
    complaints(crossEntropy, referenceRoutines.crossEntropy, longCall, [long, Int32Array.of(0)], { tolerance: 2e-5 }),
  ).toEqual([]);
});

const special = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 1e-40, -1e-40, 3e38, -3e38];

function rowsOf(noise: Noise, count: number, levels: number): Float32Array {
  // Few levels: many equal values. Now and then a special one.
  return noise
    .floats(count)
    .map((x) => (noise.integer(10) === 0 ? special[noise.integer(special.length)] : Math.round(x * levels) / levels));
}

it('finds the largest value, first of equals, NaN above all', () => {
  const noise = new Noise(4);
  for (const [rows, width] of [
    [1, 1],
    [5, 2],
    [40, 3],
    [200, 7],
    [200, 8],
    [200, 9],
    [100, 31],
    [300, 256],
    [2, 50280],
  ]) {
    for (const levels of [1, 4, 1e6]) {
      const call = routineCall('argmax', [f32(rows, width)], [i32(rows)]);
      expect(complaints(argmax, referenceRoutines.argmax, call, [rowsOf(noise, rows * width, levels)], exact)).toEqual(
        [],
      );
    }
  }
  const call = routineCall('argmax', [f32(1, 9)], [i32(1)]);
  const of = (values: number[]): number =>
    kernelMachine('simd').run(argmax, call, [Float32Array.from(values)]).outputs[0][0];
  expect(of([-0, 0, 0, 0, 0, 0, 0, 0, 0])).toBe(0);
  expect(of([1, 5, 2, 5, 5, 0, 0, 0, 5])).toBe(1);
  expect(of([1, 5, NaN, 5, 5, 0, NaN, 0, Infinity])).toBe(2);
  expect(of(new Array<number>(9).fill(-Infinity))).toBe(0);
});

it('sorts in descending order, stable, NaN first', () => {
  const noise = new Noise(5);
  for (const [rows, width] of [
    [1, 1],
    [5, 2],
    [40, 3],
    [30, 16],
    [30, 40],
    [30, 41],
    [50, 100],
    [70, 257],
    [2, 5000],
    [1, 50280],
    [0, 4],
  ]) {
    for (const levels of [1, 4, 1e6]) {
      const call = routineCall('sort', [f32(rows, width)], [f32(rows, width), i32(rows, width)]);
      expect(complaints(sort, referenceRoutines.sort, call, [rowsOf(noise, rows * width, levels)], exact)).toEqual([]);
    }
  }
});

it('sums up along the middle axis, both ways, to float32 accuracy at any length', () => {
  const noise = new Noise(6);
  for (const [rows, length, width] of [
    [1, 1, 1],
    [1, 100, 1],
    [9, 33, 1],
    [300, 256, 1],
    [2, 17, 2],
    [2, 17, 3],
    [3, 40, 4],
    [2, 20, 5],
    [4, 256, 128],
    [1, 50, 37],
    [0, 3, 4],
    [2, 0, 4],
    [2, 3, 0],
  ]) {
    for (const reverse of [false, true]) {
      const call = routineCall('cumsum', [f32(rows, length, width)], [f32(rows, length, width)], { reverse });
      expect(
        complaints(cumsum, referenceRoutines.cumsum, call, [noise.floats(rows * length * width)], { tolerance: 4e-6 }),
      ).toEqual([]);
    }
  }
  // A million times 0.1: a float32 sum would be off by hundreds.
  const call = routineCall('cumsum', [f32(1, 1e6, 1)], [f32(1, 1e6, 1)], { reverse: false });
  const y = kernelMachine('simd').run(cumsum, call, [new Float32Array(1e6).fill(0.1)]).outputs[0];
  expect(Math.abs(y[1e6 - 1] - 1e6 * Math.fround(0.1))).toBeLessThan(0.01);
});

interface FaultCase {
  readonly kind: 1 | 2 | 3;
  readonly routine: CpuRoutine;
  readonly call: RoutineCall;
  readonly inputs: (bad: Int32Array) => Values[];
  readonly rows: number;
}

const count = 3000;
const faultCases: FaultCase[] = [
  {
    kind: 1,
    routine: gather,
    call: gatherCall(10, 8, count),
    rows: 10,
    inputs: (ids) => [new Float32Array(80).fill(1), ids],
  },
  {
    kind: 2,
    routine: scatterAdd,
    call: scatterCall(10, 40, count),
    rows: 10,
    inputs: (ids) => [new Float32Array(count * 40).fill(1), ids],
  },
  {
    kind: 2,
    routine: scatterAdd,
    call: scatterCall(10, 8, count),
    rows: 10,
    inputs: (ids) => [new Float32Array(count * 8).fill(1), ids],
  },
  {
    kind: 3,
    routine: crossEntropy,
    call: crossEntropyCall(count, 10),
    rows: 10,
    inputs: (ids) => [new Float32Array(count * 10).fill(1), ids],
  },
];

it.each(faultCases)('records a bad id and goes on: $call.name', ({ kind, routine, call, inputs, rows }) => {
  for (const bad of [-1, rows, 2147483647, -2147483648]) {
    for (const at of [0, 1, count - 1]) {
      const ids = new Int32Array(count).fill(3);
      ids[at] = bad;
      for (const variant of variants) {
        for (const threads of [1, 2, 3]) {
          const { fault, outputs } = kernelMachine(variant).run(routine, call, inputs(ids), threads, threads === 2);
          expect(fault).toEqual([kind, bad, at, rows]);
          expect(outputs[0].every(Number.isFinite)).toBe(true);
        }
      }
      expect(() => reference(referenceRoutines[call.name], call, inputs(ids))).toThrow(
        faultError(kind, bad, at, rows).message,
      );
      expect(() => reference(referenceRoutines[call.name], call, inputs(ids))).toThrow(OutOfRangeError);
    }
  }
});

it('keeps the fault of the first thread that has one', () => {
  const ids = new Int32Array(count).fill(3);
  ids[100] = 77;
  ids[2900] = 88;
  const call = gatherCall(10, 8, count);
  const run = (backwards: boolean): readonly number[] =>
    kernelMachine('simd').run(gather, call, [new Float32Array(80), ids], 2, backwards).fault;
  expect(run(false)).toEqual([1, 77, 100, 10]);
  expect(run(true)).toEqual([1, 88, 2900, 10]);
});
