import { describe, expect, it } from 'vitest';
import { fusingReference } from '@mamba-ts/tensor/conformance';
import { causalConv1d, compile, grad, matmul, reference, selectiveScan, stateUpdate, type Tensor, tensor, variable } from '@mamba-ts/tensor';
import { explained, type Step } from './explained';

describe('views as inputs of routines', () => {
  it('are read where they lie: a product of a part of a product', async () => {
    const what = await explained(([x, w, v]) => matmul(matmul(x, w).slice(-1, 4, 8), v), [[2, 3, 5], [5, 12], [4, 6]]);
    expect(what).toEqual(['matmul', 'matmul']);
  });

  it('are rounded by a product that can: a part of a product in half precision, with no cast in between', async () => {
    const rounded = (part: (y: Tensor) => Tensor): Step => ([x, w, v]) => matmul(part(matmul(x, w)), v.cast('bfloat16'));
    const shapes = [[4, 5], [5, 12], [4, 6]];
    const products = async (step: Step): Promise<string[]> => (await explained(step, shapes)).filter((s) => s !== 'cast');
    const casts = async (step: Step): Promise<number> => (await explained(step, shapes)).filter((s) => s === 'cast').length;
    for (const part of [(y: Tensor): Tensor => y.slice(-1, 4, 8).cast('bfloat16'), (y: Tensor): Tensor => y.cast('bfloat16').slice(-1, 4, 8)]) {
      expect(await products(rounded(part))).toEqual(['matmul', 'matmul']);
      expect(await casts(rounded(part))).toBe(1);
    }
    // Rows that start between two multiples of 16 bytes are copied, and rounded on the way.
    expect(await casts(rounded((y) => y.slice(-1, 1, 5).cast('bfloat16')))).toBe(2);
  });

  it('serve the convolution and its gradient', async () => {
    const what = await explained(
      ([x, w, taps]) => {
        const u = matmul(x, w).slice(-1, 4, 8);
        return grad(causalConv1d(u, taps).square().sum(), [w, taps]);
      },
      [[2, 3, 5], [5, 12], [4, 3]],
    );
    expect(what).not.toContain('copy');
  });

  it('serve all variable operands of a scan, as of a step', async () => {
    const scan: Step = ([x, w, A]) => {
      const parts = matmul(x, w);
      const part = (at: number, width: number): Tensor => parts.slice(-1, at, at + width);
      const [u, delta, z] = [part(0, 4), part(4, 4), part(8, 4)];
      const coefficients = (at: number): Tensor => part(at, 8).reshape(...x.shape.slice(0, -1), 2, 4);
      const operands = { u, delta, A: A.exp().neg(), B: coefficients(12), C: coefficients(20), z, deltaSoftplus: true };
      if (x.shape.length === 3) return selectiveScan(operands).y;
      return stateUpdate(parts.slice(-1, 0, 16).reshape(2, 4, 4).square(), operands).y;
    };
    expect((await explained(scan, [[2, 3, 5], [5, 28], [4, 4]])).filter((s) => s === 'copy')).toEqual([]);
    expect((await explained(scan, [[2, 5], [5, 28], [4, 4]])).filter((s) => s === 'copy')).toEqual([]);
  });

  it('are copied where rows are not evenly spaced, not contiguous or not aligned', async () => {
    const part = (slice: (y: Tensor) => Tensor): Step => ([x, w, v]) => matmul(slice(matmul(x, w)), v);
    const shapes = [[4, 6, 5], [5, 12], [4, 6]];
    expect(await explained(part((y) => y.slice(1, 0, 3).slice(-1, 0, 4)), shapes)).toHaveLength(3);
    expect(await explained(part((y) => y.slice(-1, 0, 8, 2)), shapes)).toHaveLength(3);
    expect(await explained(part((y) => y.slice(-1, 1, 5)), shapes)).toHaveLength(3);
  });

  it('see a variable that the step updates before or after them', async () => {
    for (const device of [await fusingReference(), await reference()]) {
      const state = variable(tensor(Float64Array.from({ length: 24 }, (_, i) => i), { shape: [2, 12], device }));
      const w = tensor([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], { shape: [4, 4], device });
      const step = compile(() => {
        const y = matmul(state.slice(1, 4, 8), w);
        state.assign(state.mul(2));
        return y;
      });
      expect([...(await step().data())]).toEqual([4, 5, 6, 7, 16, 17, 18, 19]);
      expect([...(await step().data())]).toEqual([8, 10, 12, 14, 32, 34, 36, 38]);
      for (const t of [step, state, w]) t.dispose();
      device.dispose();
    }
  });
});
