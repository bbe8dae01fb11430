import { expect, it } from 'vitest';
import type { CpuRoutine } from '../../src/cpu/routine';
import { longConv, longConvBy, longConvGradInput, longConvGradKernel } from '../../src/cpu/routines/long-conv';
import {
  longConv as forwardOracle,
  longConvGradInput as inputOracle,
  longConvGradKernel as kernelOracle,
} from '../../src/reference/routines/long-conv';
import type { RoutineCall } from '../../src/compile/program';
import { complaints, f32, kernelMachine, largestError, Noise, reference, routineCall, variants } from './harness';

interface Case {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  readonly taps: number;
}

function calls({ batch, length, channels, taps }: Case): RoutineCall[] {
  const signal = f32(batch, length, channels);
  const kernel = f32(taps, channels);
  return [
    routineCall('longConv', [signal, kernel], [signal]),
    routineCall('longConvGradInput', [signal, kernel], [signal]),
    routineCall('longConvGradKernel', [signal, signal], [kernel], { taps }),
  ];
}

/** Which way the routine goes: its last phase. */
function path(routine: CpuRoutine, call: RoutineCall): string {
  return routine.phases(call).at(-1)?.name ?? '';
}

function check(
  c: Case,
  threads?: readonly number[],
  routines: ReturnType<typeof longConvBy> = longConvBy('shorter'),
): string[] {
  const noise = new Noise(c.length * 17 + c.channels * 5 + c.taps);
  const signal = noise.floats(c.batch * c.length * c.channels);
  const other = noise.floats(c.batch * c.length * c.channels);
  // Kernels of models decay.
  const kernel = noise.floats(c.taps * c.channels).map((x, i) => x * Math.exp(-Math.floor(i / c.channels) / 40));
  const [forward, gradInput, gradKernel] = calls(c);
  const tolerance = 4e-6 + 1.5e-8 * Math.min(c.taps, c.length);
  return [
    ...complaints(routines.longConv, forwardOracle, forward, [signal, kernel], { tolerance, threads }),
    ...complaints(routines.longConvGradInput, inputOracle, gradInput, [signal, kernel], { tolerance, threads }),
    ...complaints(routines.longConvGradKernel, kernelOracle, gradKernel, [other, signal], {
      tolerance: 1e-6 * Math.sqrt(c.batch * (c.length + 1)) + 4e-6,
      threads,
    }),
  ];
}

it('agrees with the reference at short lengths and any number of taps', () => {
  const found: string[] = [];
  for (const length of [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 31, 64]) {
    for (const taps of [1, 2, 3, 4, 5, 8, 11, 33, 100]) {
      for (const channels of [1, 4, 6]) found.push(...check({ batch: 2, length, channels, taps }));
    }
  }
  expect(found).toEqual([]);
});

const long: [Case, 'Direct' | 'Transformed'][] = [
  [{ batch: 1, length: 300, channels: 9, taps: 7 }, 'Direct'],
  [{ batch: 8, length: 100, channels: 7, taps: 100 }, 'Direct'],
  [{ batch: 2, length: 1024, channels: 5, taps: 1024 }, 'Transformed'],
  [{ batch: 3, length: 700, channels: 6, taps: 1500 }, 'Transformed'],
  [{ batch: 1, length: 2048, channels: 4, taps: 2048 }, 'Transformed'],
  [{ batch: 2, length: 3000, channels: 3, taps: 1097 }, 'Transformed'],
  [{ batch: 1, length: 4096, channels: 8, taps: 4097 }, 'Transformed'],
  [{ batch: 1, length: 5000, channels: 4, taps: 5000 }, 'Transformed'],
];

it.each(long)('agrees with the reference at %o (%s)', (c, way) => {
  expect(check(c, [1, 3])).toEqual([]);
  const routines = [longConv, longConvGradInput, longConvGradKernel];
  calls(c).forEach((call, i) => expect(path(routines[i], call)).toContain(way));
});

it('takes empty batches, lengths and channels', () => {
  for (const [batch, length, channels] of [
    [0, 5, 4],
    [2, 0, 4],
    [2, 5, 0],
  ])
    expect(check({ batch, length, channels, taps: 3 })).toEqual([]);
});

it('goes through transforms of every size', () => {
  const routines = longConvBy('transforms');
  const found: string[] = [];
  for (const length of [1, 2, 3, 5, 8, 9, 16, 17, 33, 65, 100, 128, 200, 257, 512]) {
    for (const taps of [1, 3, length, length + 5])
      found.push(...check({ batch: 2, length, channels: 5, taps }, [1, 2], routines));
  }
  expect(found).toEqual([]);
});

it('goes term by term at any length', () => {
  const routines = longConvBy('terms');
  for (const [length, taps] of [
    [511, 511],
    [600, 30],
    [1025, 2000],
  ])
    expect(check({ batch: 1, length, channels: 6, taps }, [1, 2], routines)).toEqual([]);
});

it('keeps a large channel out of its neighbours', () => {
  // Channels share vectors, but each lane is a transform of its own.
  const call = calls({ batch: 1, length: 2048, channels: 4, taps: 2048 })[0];
  const noise = new Noise(3);
  const signal = noise.floats(2048 * 4).map((x, i) => (i % 4 === 0 ? x * 1e10 : x));
  const kernel = noise.floats(2048 * 4);
  const expected = reference(forwardOracle, call, [signal, kernel])[0];
  for (const variant of variants) {
    const [y] = kernelMachine(variant).run(longConv, call, [signal, kernel]).outputs;
    const others = (x: ArrayLike<number>): number[] => Array.from(x).filter((_, i) => i % 4 !== 0);
    expect(largestError(others(y), others(expected))).toBeLessThan(1e-4);
  }
});
