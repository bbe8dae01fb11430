import { ignoreIndex, SelectiveCopying, TaskError, writeSelectiveCopying } from '@mamba-ts/tasks';
import { describe, expect, test } from 'vitest';
import { golden } from './golden';

const options = { contextLength: 20, dataTokens: 4, vocabSize: 16 };

describe('selective copying', () => {
  test('layout of one row', () => {
    const inputs = new Int32Array(16).fill(9);
    const targets = new Int32Array(16).fill(ignoreIndex);
    writeSelectiveCopying([3, 14, 1, 7], [1, 4, 5, 10], 16, inputs, targets);
    expect([...inputs]).toEqual([0, 3, 0, 0, 14, 1, 0, 0, 0, 0, 7, 0, 15, 15, 15, 15]);
    expect([...targets]).toEqual([...Array.from({ length: 12 }, () => ignoreIndex), 3, 14, 1, 7]);
  });

  test.skipIf(!golden)('golden case selective_copying_example', () => {
    const { inputs: given, outputs } = golden!.selective_copying_example as {
      inputs: { tokens: number[]; positions_sorted: number[]; vocab: number };
      outputs: { input: number[]; target: number[]; loss_mask: number[] };
    };
    const inputs = new Int32Array(outputs.input.length);
    const targets = new Int32Array(outputs.input.length).fill(ignoreIndex);
    writeSelectiveCopying(given.tokens, given.positions_sorted, given.vocab, inputs, targets);
    expect([...inputs]).toEqual(outputs.input);
    expect([...targets].map((t) => (t === ignoreIndex ? 0 : 1))).toEqual(outputs.loss_mask);
    expect([...targets].filter((t) => t !== ignoreIndex)).toEqual(outputs.target);
  });

  test('every row: tokens in order among noise, then markers; targets at the end only', () => {
    const task = new SelectiveCopying(options);
    expect([task.length, task.scoredPositions]).toEqual([24, 4]);
    const { inputs, targets } = task.trainBatch(3, 50);
    const places = new Set<number>();
    const values = new Set<number>();
    for (let r = 0; r < 50; r++) {
      const row = inputs.subarray(r * 24, (r + 1) * 24);
      const said = targets.subarray(r * 24, (r + 1) * 24);
      expect([...row.subarray(20)]).toEqual([15, 15, 15, 15]);
      expect([...said.subarray(0, 20)].every((t) => t === ignoreIndex)).toBe(true);
      expect([...row.subarray(0, 20)].filter((t) => t !== 0)).toEqual([...said.subarray(20)]);
      for (let i = 0; i < 20; i++) if (row[i] !== 0) places.add(i);
      for (const t of said.subarray(20)) values.add(t);
    }
    expect(places.size).toBe(20);
    expect([...values].sort((a, b) => a - b)).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
  });

  test('places and tokens are uniform', () => {
    const rows = 4000;
    const { inputs } = new SelectiveCopying(options).trainBatch(0, rows);
    const atPlace = new Float64Array(20);
    const ofToken = new Float64Array(16);
    for (let i = 0; i < inputs.length; i++) {
      if (i % 24 >= 20 || inputs[i] === 0) continue;
      atPlace[i % 24]++;
      ofToken[inputs[i]]++;
    }
    // Five standard deviations around the mean of a binomial count.
    for (const n of atPlace) expect(Math.abs(n - rows / 5)).toBeLessThan(5 * Math.sqrt(rows * 0.2 * 0.8));
    for (const n of ofToken.subarray(1, 15))
      expect(Math.abs(n - (rows * 4) / 14)).toBeLessThan(5 * Math.sqrt(((rows * 4) / 14) * (13 / 14)));
  });

  test('data depends on the seed and the number alone, and validation is other data', () => {
    const a = new SelectiveCopying({ ...options, seed: 5 });
    const b = new SelectiveCopying({ ...options, seed: 5 });
    a.trainBatch(0, 8);
    expect(a.trainBatch(7, 8)).toEqual(b.trainBatch(7, 8));
    expect(a.trainBatch(7, 8).inputs).not.toEqual(a.trainBatch(8, 8).inputs);
    expect(a.trainBatch(7, 8).inputs).not.toEqual(
      new SelectiveCopying({ ...options, seed: 6 }).trainBatch(7, 8).inputs,
    );
    const [held] = a.validationBatches(8);
    expect(held.inputs).not.toEqual(a.trainBatch(0, 8).inputs);
    expect([...a.validationBatches(8)]).toEqual([...b.validationBatches(8)]);
  });

  test('validation: the rows asked for, the last batch filled up with unscored rows', () => {
    const task = new SelectiveCopying({ ...options, validationRows: 10 });
    const batches = [...task.validationBatches(4)];
    expect(batches.map((b) => b.inputs.length)).toEqual([96, 96, 96]);
    const scored = batches.map((b) => b.targets.filter((t) => t !== ignoreIndex).length);
    expect(scored).toEqual([16, 16, 8]);
  });

  test('arguments are refused by name', () => {
    expect(() => new SelectiveCopying({ ...options, dataTokens: 21 })).toThrow(
      'SelectiveCopying: dataTokens is 21, expected an integer from 1 to 20',
    );
    expect(() => new SelectiveCopying({ ...options, vocabSize: 2 })).toThrow(TaskError);
    expect(() => new SelectiveCopying({ ...options, seed: 2 ** 40 })).toThrow('seed is 1099511627776');
    expect(() => new SelectiveCopying(options).trainBatch(-1, 4)).toThrow('trainBatch: index is -1');
    const inputs = new Int32Array(6);
    expect(() => writeSelectiveCopying([1, 2], [3, 3], 16, inputs, new Int32Array(6))).toThrow('positions[1] is 3');
    expect(() => writeSelectiveCopying([1, 15], [1, 3], 16, inputs, new Int32Array(6))).toThrow('tokens[1] is 15');
  });
});
