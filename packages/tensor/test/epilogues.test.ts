import { describe, expect, it } from 'vitest';
import { fusingReference, randomSource, randomValues, relativeError } from '@mamba-ts/tensor/conformance';
import { compile, concat, Device, matmul, type Program, scope, silu, type Tensor, tensor, variable } from '@mamba-ts/tensor';
import { explained as explainedStep } from './explained';
import { ReferenceBackend } from '../src/reference/backend';

type Step = (x: Tensor, w: Tensor, more: readonly Tensor[]) => Tensor | readonly Tensor[];

const explained = (step: Step, shapes: readonly (readonly number[])[]): Promise<string[]> =>
  explainedStep(([x, w, ...more]) => step(x, w, more), shapes);

describe('epilogues of matrix products', () => {
  it('take bias, activation and residual', async () => {
    const what = await explained((x, w, [bias, residual]) => silu(matmul(x, w).add(bias)).add(residual), [[2, 3, 4], [4, 6], [6], [2, 3, 6]]);
    expect(what).toEqual(['matmul + add sigmoid mul add']);
  });

  it('leave a residual that several read in memory once', async () => {
    const what = await explained((x, w, [residual]) => {
      const sum = matmul(x, w).add(residual);
      return [sum.square().mean(-1), sum.mul(2)];
    }, [[5, 4], [4, 6], [5, 6]]);
    expect(what[0]).toBe('matmul + add');
    expect(what.length).toBe(3);
  });

  it('keep batches apart and follow broadcast operands', async () => {
    const what = await explained((x, w, [scale]) => matmul(x, w).mul(scale), [[2, 3, 4], [2, 4, 5], [2, 1, 5]]);
    expect(what).toEqual(['matmul + mul']);
  });

  it('are not made of reductions, transposed readers, or products that something else reads', async () => {
    expect(await explained((x, w) => matmul(x, w).sum(-1), [[5, 4], [4, 6]])).toEqual(['matmul', 'sum']);
    expect((await explained((x, w, [r]) => matmul(x, w).transpose().add(r), [[5, 4], [4, 6], [6, 5]]))[0]).toBe('matmul');
    const twice = await explained((x, w) => {
      const y = matmul(x, w);
      return [y, y.exp()];
    }, [[5, 4], [4, 6]]);
    expect(twice).toEqual(['matmul', 'exp']);
  });

  it('join one of two products', async () => {
    const what = await explained((x, w, [v]) => matmul(x, w).mul(matmul(x, v).sigmoid()), [[5, 4], [4, 6], [4, 6]]);
    expect(what.filter((s) => s.startsWith('matmul')).sort()).toEqual(['matmul', 'matmul + sigmoid mul']);
  });

  it('update a variable in place', async () => {
    const device = await fusingReference();
    const make = (shape: number[], low: number): Tensor => tensor(randomValues(randomSource(low), 6, -1, 1), { shape, device });
    const [x, g] = [make([2, 3], 1), make([2, 3], 2)];
    const w = scope(() => variable(make([3, 2], 4).pad(1, 0, 1)));
    const before = Array.from(await w.data());
    const step = compile(() => {
      w.assign(w.sub(matmul(x, g, { transposeA: true }).mul(0.5)));
    });
    step();
    expect(step.explain()[0].steps.map((s) => s.what)).toEqual(['matmul + mul sub']);
    const [a, b] = [Array.from(await x.data()), Array.from(await g.data())];
    const expected = before.map((v, i) => v - 0.5 * (a[Math.floor(i / 3)] * b[i % 3] + a[3 + Math.floor(i / 3)] * b[3 + (i % 3)]));
    expect(relativeError(await w.data(), expected)).toBeLessThan(1e-12);
    device.dispose();
  });
});

describe('limits of a backend', () => {
  class Narrow extends ReferenceBackend {
    readonly arenaAlignment = 256;
    readonly maxKernelBuffers = 5;
    readonly programs: Program[] = [];
    override prepare(program: Program): ReturnType<ReferenceBackend['prepare']> {
      this.programs.push(program);
      return super.prepare(program);
    }
  }

  it('kernels touch at most maxKernelBuffers buffers, arena slots are aligned', async () => {
    const backend = new Narrow(true);
    const device = new Device(backend);
    const parts = Array.from({ length: 12 }, (_, i) => tensor([i, i + 0.5, -i], { device }));
    const joined = concat(parts.map((p) => p.mul(2)), 0);
    expect(Array.from(await joined.data())).toEqual(parts.flatMap((_, i) => [2 * i, 2 * i + 1, 0 - 2 * i]));
    const product = parts.reduce((a, b) => a.mul(b.add(1))).sum();
    const exact = [0, 1, 2].map((k) => parts.reduce((n, _, i) => n * ([i, i + 0.5, -i][k] + (i > 0 ? 1 : 0)), 1)).reduce((a, b) => a + b, 0);
    expect((await product.item()) / exact).toBeCloseTo(1, 12);
    for (const { steps, slots } of backend.programs) {
      for (const s of steps) if (s.kind === 'kernel') expect(s.buffers.length).toBeLessThanOrEqual(5);
      for (const s of slots) expect(s.offset % 256).toBe(0);
    }
    expect(backend.programs.some((p) => p.slots.filter((s) => s.kind === 'arena').length > 1)).toBe(true);
    device.dispose();
  });
});
