import { crossEntropyLoss, Conv1d, Embedding, LayerNorm, Linear, RMSNorm } from '@mamba-ts/nn';
import { RandomGenerator, type Tensor, tensor, type Variable } from '@mamba-ts/tensor';
import { describe, it } from 'vitest';
import { fixedValues } from './fixed-values';
import { checkGradients, input } from './gradient-check';

const ints = (values: number[], ...shape: number[]): Tensor => tensor(values, { dtype: 'int32' }).reshape(...shape);
const randomize = (...variables: readonly (Variable | null)[]): Variable[] =>
  variables.filter((v) => v !== null).map((v, i) => v.write(fixedValues(v.size, 10 + i)));

describe('gradients against central differences in float64', () => {
  it('Linear', () =>
    checkGradients(() => {
      const layer = new Linear(5, 3, new RandomGenerator(1));
      const x = input([2, 4, 5], 1);
      return { wrt: [x, layer.weight, layer.bias as Variable], y: () => layer.forward(x) };
    }));

  it('Embedding, with repeated ids', () =>
    checkGradients(() => {
      const layer = new Embedding(5, 3, new RandomGenerator(1));
      const ids = ints([4, 0, 4, 2, 2, 4], 2, 3);
      return { wrt: [layer.weight], y: () => layer.forward(ids).exp() };
    }));

  for (const groups of [1, 3]) {
    it(`RMSNorm, ${groups} groups`, () =>
      checkGradients(() => {
        const layer = new RMSNorm(6, { groups, eps: 0.1 });
        const x = input([2, 3, 6], 2);
        return { wrt: [x, ...randomize(layer.weight)], y: () => layer.forward(x) };
      }));
  }

  it('LayerNorm', () =>
    checkGradients(() => {
      const layer = new LayerNorm(5);
      const x = input([3, 5], 3);
      return { wrt: [x, ...randomize(layer.weight, layer.bias)], y: () => layer.forward(x) };
    }));

  it('Conv1d: forward and window, with an initial window and resets', () =>
    checkGradients(() => {
      const layer = new Conv1d(3, 4, new RandomGenerator(2));
      const x = input([2, 5, 3], 4);
      const initial = input([2, 3, 3], 5);
      const resets = ints([0, 0, 0, 1, 0, 0, 0, 0, 0, 0], 2, 5);
      const y = (): Tensor => {
        const [out, window] = layer.prefill(x, { initial, resets });
        return out.sum(1).add(window.square().sum(1));
      };
      return { wrt: [x, initial, layer.weight, layer.bias as Variable], y };
    }));

  it('Conv1d: steps', () =>
    checkGradients(() => {
      const layer = new Conv1d(2, 3, new RandomGenerator(3));
      const x = input([2, 4, 2], 6);
      const first = input([2, 2, 2], 7);
      const y = (): Tensor => {
        let window: Tensor = first;
        let total: Tensor = window.sum(1);
        for (let t = 0; t < 4; t++) {
          let out: Tensor;
          [out, window] = layer.step(x.slice(1, t, t + 1).squeeze(1), window);
          total = total.add(out.mul(t + 1));
        }
        return total;
      };
      return { wrt: [x, first, layer.weight, layer.bias as Variable], y };
    }));

  it('crossEntropyLoss with ignored rows', () =>
    checkGradients(() => {
      const logits = input([2, 3, 4], 8);
      const targets = ints([1, -100, 3, 0, 0, -100], 2, 3);
      return { wrt: [logits], y: () => crossEntropyLoss(logits, targets) };
    }));
});
