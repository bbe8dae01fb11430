import { expect, it } from 'vitest';
import type { Kernel, Program, Slot } from '@mamba-ts/tensor';
import { groupSteps } from '../src/together';

const kernel = (loads: number): Kernel => {
  const access = (buffer: number): Kernel['loads'][number] => ({ buffer, dtype: 'float32', offset: 0, strides: [1], guards: [] });
  return {
    domain: [4], outerDims: 1, reduces: [], epilogue: [],
    loads: Array.from({ length: loads }, (_, i) => access(i)),
    body: Array.from({ length: loads }, (_, i) => ({ op: 'load', load: i, dtype: 'float32' }) as const),
    stores: [{ access: access(loads), value: 0, phase: 'body' }],
  };
};

/** Steps that read some slots and write one: [...reads, written]. Slots 0 to 9 are external, 10 and on lie in the arena, 32 bytes from 16 (slot - 10). */
function program(...steps: readonly (readonly number[])[]): Program {
  const slots = Array.from({ length: 20 }, (_, i): Slot => ({ kind: i < 10 ? 'external' : 'arena', bytes: i < 10 ? 16 : 32, offset: i < 10 ? 0 : 16 * (i - 10) }));
  return {
    key: '', slots, arenaBytes: 200, externals: [],
    steps: steps.map((buffers) => ({ kind: 'kernel', kernel: kernel(buffers.length - 1), buffers, label: [] })),
  };
}

const groups = (p: Program, most = 10): number[][] => groupSteps(p, (at) => String(p.steps[at].kind === 'kernel' && p.steps[at].buffers.length), () => most).map((g) => [...g]);

it('joins steps of one code that share no memory, across others', () => {
  expect(groups(program([0, 1], [2, 3], [4, 5]))).toEqual([[0, 1, 2]]);
  expect(groups(program([0, 1], [2, 3, 4], [5, 6]))).toEqual([[0, 2], [1]]);
  expect(groups(program([0, 1], [2, 3], [4, 5]), 2)).toEqual([[0, 1], [2]]);
});

it('keeps the order of steps that depend on each other', () => {
  // reads what the first wrote
  expect(groups(program([0, 1], [1, 2]))).toEqual([[0], [1]]);
  // writes what the first reads
  expect(groups(program([0, 1], [2, 0]))).toEqual([[0], [1]]);
  // depends on one in between
  expect(groups(program([0, 1], [2, 3, 4], [4, 5]))).toEqual([[0], [1], [2]]);
  // in place is no conflict with oneself, but with another that reads it
  expect(groups(program([0, 0], [1, 1], [2, 2]))).toEqual([[0, 1, 2]]);
  expect(groups(program([0, 1], [0, 2]))).toEqual([[0, 1]]);
});

it('sees that slots of the arena share bytes', () => {
  expect(groups(program([0, 10], [1, 11]))).toEqual([[0], [1]]);
  expect(groups(program([0, 10], [1, 12]))).toEqual([[0, 1]]);
});
