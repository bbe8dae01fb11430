import { ignoreIndex, InductionHeads, inductionHeadsAnswer } from '@mamba-ts/tasks';
import { describe, expect, test } from 'vitest';
import { golden } from './golden';

describe('induction heads', () => {
  test.skipIf(!golden)('golden case induction_heads_example', () => {
    const { inputs, outputs } = golden!.induction_heads_example as {
      inputs: { input: number[]; special: number };
      outputs: { target: number; loss_mask: number[] };
    };
    expect(inductionHeadsAnswer(Int32Array.from(inputs.input), inputs.special)).toBe(outputs.target);
    const { targets } = new InductionHeads({ length: inputs.input.length, vocabSize: inputs.special + 1 }).trainBatch(
      0,
      1,
    );
    expect([...targets].map((t) => (t === ignoreIndex ? 0 : 1))).toEqual(outputs.loss_mask);
  });

  test('every row: the special token twice, its successor is the answer', () => {
    const length = 12;
    const { inputs, targets } = new InductionHeads({ length, vocabSize: 16, seed: 3 }).trainBatch(2, 500);
    const places = new Set<number>();
    for (let r = 0; r < 500; r++) {
      const row = [...inputs.subarray(r * length, (r + 1) * length)];
      const first = row.indexOf(15);
      expect(row.filter((t) => t === 15)).toHaveLength(2);
      expect(row[length - 1]).toBe(15);
      expect(first).toBeLessThan(length - 2);
      expect(targets[(r + 1) * length - 1]).toBe(row[first + 1]);
      places.add(first);
    }
    expect([...places].sort((a, b) => a - b)).toEqual(Array.from({ length: length - 2 }, (_, i) => i));
  });

  test('same seed, same data', () => {
    const task = (): InductionHeads => new InductionHeads({ length: 20, vocabSize: 8, seed: 9 });
    expect(task().trainBatch(4, 3)).toEqual(task().trainBatch(4, 3));
    expect([...task().validationBatches(100)].map((b) => b.targets.filter((t) => t !== ignoreIndex).length)).toEqual([
      100, 100, 56,
    ]);
  });

  test('arguments are refused by name', () => {
    expect(() => new InductionHeads({ length: 2, vocabSize: 8 })).toThrow(
      'InductionHeads: length is 2, expected an integer from 3',
    );
    expect(() => new InductionHeads({ length: 8, vocabSize: 1.5 })).toThrow('vocabSize is 1.5');
  });
});
