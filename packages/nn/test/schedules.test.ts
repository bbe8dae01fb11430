import { type Schedule, schedules } from '@mamba-ts/nn';
import { describe, expect, it } from 'vitest';

const values = (schedule: Schedule, steps: readonly number[]): number[] => steps.map(schedule);

describe('schedules', () => {
  it('constant', () => expect(values(schedules.constant(0.5), [0, 10, 1e9])).toEqual([0.5, 0.5, 0.5]));

  it('linear warm-up reaches 1 with its last step', () => {
    expect(values(schedules.linearWarmup(4), [0, 1, 2, 3, 4, 100])).toEqual([0.25, 0.5, 0.75, 1, 1, 1]);
    expect(schedules.linearWarmup(0)(0)).toBe(1);
  });

  it('cosine with warm-up and minimum', () => {
    const schedule = schedules.cosine(110, { warmup: 10, minimum: 0.1 });
    expect(schedule(0)).toBeCloseTo(0.1, 15);
    expect(schedule(9)).toBe(1);
    expect(schedule(10)).toBe(1);
    expect(schedule(60)).toBeCloseTo(0.1 + 0.9 / 2, 12);
    expect(schedule(35)).toBeCloseTo(0.1 + 0.9 * 0.5 * (1 + Math.cos(Math.PI / 4)), 12);
    expect(values(schedule, [110, 111, 1e6])).toEqual([0.1, 0.1, 0.1]);
    expect(schedules.cosine(4)(4)).toBe(0);
    expect(values(schedules.cosine(3, { warmup: 3 }), [2, 3])).toEqual([1, 0]);
  });

  it('linear decay', () => {
    expect(values(schedules.linear(4), [0, 1, 2, 3, 4, 5])).toEqual([1, 0.75, 0.5, 0.25, 0, 0]);
    expect(values(schedules.linear(6, { warmup: 2, minimum: 0.5 }), [0, 1, 2, 4, 6])).toEqual([0.5, 1, 1, 0.75, 0.5]);
  });

  it('products and sequences', () => {
    expect(
      values(
        schedules.product(schedules.linearWarmup(2), schedules.constant(0.5), (step) => step),
        [0, 1, 2],
      ),
    ).toEqual([0, 0.5, 1]);
    const schedule = schedules.sequence(
      [2, schedules.linearWarmup(2)],
      [3, schedules.constant(0.25)],
      (step) => 10 + step,
    );
    expect(values(schedule, [0, 1, 2, 3, 4, 5, 6])).toEqual([0.5, 1, 0.25, 0.25, 0.25, 10, 11]);
  });

  it('bad arguments are refused by name', () => {
    const refusals: [() => unknown, string][] = [
      [() => schedules.constant(Number.NaN), 'schedules.constant: factor is NaN, expected a finite number >= 0'],
      [() => schedules.linearWarmup(-1), 'schedules.linearWarmup: steps is -1, expected an integer >= 0'],
      [() => schedules.cosine(0), 'schedules.cosine: totalSteps is 0, expected an integer >= 1'],
      [
        () => schedules.cosine(10, { warmup: 11 }),
        'schedules.cosine: warmup is 11 and minimum 0, expected warmup <= totalSteps 10 and minimum <= 1',
      ],
      [
        () => schedules.linear(10, { minimum: 2 }),
        'schedules.linear: warmup is 0 and minimum 2, expected warmup <= totalSteps 10 and minimum <= 1',
      ],
      [
        () => schedules.sequence([1.5, schedules.constant()], schedules.constant()),
        'schedules.sequence: steps is 1.5, expected an integer >= 0',
      ],
      [
        () => (schedules.sequence as (...parts: unknown[]) => unknown)([1, schedules.constant()]),
        'schedules.sequence: the last part has a number of steps, expected a schedule without end',
      ],
    ];
    for (const [act, message] of refusals)
      expect(act).toThrow(expect.objectContaining({ name: 'OutOfRangeError', message }));
  });
});
