import { bitsPerByte, crossEntropyLoss, perplexity } from '@mamba-ts/nn';
import { grad, realize, scope, type Tensor, tensor } from '@mamba-ts/tensor';
import { describe, expect, it } from 'vitest';
import { expectClose, onEachDevice } from './devices';
import { fixedValues } from './fixed-values';

const classes = 5;

function nats(logits: ArrayLike<number>, row: number, target: number): number {
  const own = Array.from({ length: classes }, (_, c) => logits[row * classes + c]);
  return Math.log(own.reduce((s, v) => s + Math.exp(v), 0)) - own[target];
}

onEachDevice('crossEntropyLoss', (on) => {
  const logitsOf = (rows: number): Tensor =>
    tensor(
      fixedValues(rows * classes, 1).map((v) => 4 * v),
      { shape: [rows, classes] },
    );

  it('is the mean over the rows that count', async () => {
    for (const ignoreIndex of [-100, 2]) {
      const targets = [1, ignoreIndex, 4, 0, ignoreIndex, 3];
      const logits = logitsOf(6);
      const ids = tensor(targets, { dtype: 'int32' });
      const loss = scope(() => crossEntropyLoss(logits, ids, { ignoreIndex }));
      const expected =
        [0, 2, 3, 5].reduce(
          (s, row) =>
            s +
            nats(
              fixedValues(30, 1).map((v) => 4 * v),
              row,
              targets[row],
            ),
          0,
        ) / 4;
      expectClose([await loss.item()], [expected], on.tolerance);
      for (const t of [loss, logits, ids]) t.dispose();
    }
  });

  it('is 0 with gradient 0 when no row counts', async () => {
    const logits = logitsOf(2);
    const ids = tensor([-100, -100], { dtype: 'int32' });
    const [loss, gradient] = scope(() => {
      const made = crossEntropyLoss(logits, ids);
      const both = [made, ...grad(made, [logits])];
      realize(...both);
      return both;
    });
    expect(Array.from(await gradient.data(), Math.abs)).toEqual(new Array(10).fill(0));
    expect(await loss.item()).toBe(0);
    for (const t of [loss, gradient, logits, ids]) t.dispose();
  });

  it('refuses wrong shapes and targets', async () => {
    const logits = logitsOf(2);
    const three = tensor([0, 1, 2], { dtype: 'int32' });
    const beyond = tensor([0, 5], { dtype: 'int32' });
    expect(() => scope(() => crossEntropyLoss(logits, three))).toThrow(
      /crossEntropy: targets has shape \(3\), expected \(rows 2\)/,
    );
    const loss = scope(() => crossEntropyLoss(logits, beyond));
    await expect((async () => loss.item())()).rejects.toThrow(expect.objectContaining({ name: 'OutOfRangeError' }));
    for (const t of [loss, logits, three, beyond]) t.dispose();
  });

  it('bitsPerByte of a tensor', async () => {
    const loss = tensor(2);
    const bits = bitsPerByte(loss, 4);
    expectClose([await bits.item()], [2 / (Math.LN2 * 4)], on.tolerance);
    bits.dispose();
    loss.dispose();
  });
});

describe('losses of numbers', () => {
  it('bits per byte and perplexity', () => {
    expect(bitsPerByte(Math.LN2)).toBeCloseTo(1, 15);
    expect(bitsPerByte(3, 4.5)).toBeCloseTo(3 / Math.LN2 / 4.5, 15);
    expect(perplexity(Math.log(7))).toBeCloseTo(7, 12);
    expect(() => bitsPerByte(1, 0)).toThrow(/bitsPerByte: bytesPerToken is 0, expected a finite number > 0/);
  });
});
