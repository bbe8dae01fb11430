import { describe, expect, it } from 'vitest';
import { compile, concat, type Device, type DType, fromBFloat16, fromFloat16, grad, longConv, matmul, reference, scatterAdd, scope, sort, cumsum, tensor, toBFloat16, toFloat16, type Tensor } from '@mamba-ts/tensor';
import { randomSource, randomValues, relativeError } from '@mamba-ts/tensor/conformance';
import { longConvBy } from '../src/routines/long-conv';
import { matmulBy, type Way } from '../src/routines/matmul';
import type { Capabilities, WebGpuRoutine } from '../src/routine';
import { webgpuRoutines } from '../src/routines/index';
import { missing, open } from './adapter';

type Build = (device: Device) => Tensor | readonly Tensor[];

describe.skipIf(missing !== null)(`kernels${missing === null ? '' : ` (${missing})`}`, async () => {
  const device = missing === null ? await open() : ((await reference()) as Device);
  const oracle = await reference();

  const random = (seed: number, shape: readonly number[], on: Device): Tensor =>
    tensor(randomValues(randomSource(seed), shape.reduce((a, b) => a * b, 1), -1, 1), { shape, device: on });

  async function values(build: Build, on: Device): Promise<ArrayLike<number>[]> {
    const out = scope(() => {
      const made = [build(on)].flat() as Tensor[];
      return made.map((t) => t.realize());
    });
    const read: ArrayLike<number>[] = [];
    for (const t of out) read.push(await t.data());
    return read;
  }

  async function agree(build: Build, tolerance = 2e-6, on = device): Promise<void> {
    const actual = await values(build, on);
    const expected = await values(build, oracle);
    actual.forEach((y, i) => expect(relativeError(y, expected[i]), `result ${i}`).toBeLessThan(tolerance));
  }

  /** With routines other than the usual ones, on a device of its own: a device keeps the programs that it has prepared. */
  async function withRoutines(routines: Partial<typeof webgpuRoutines>, test: (own: Device) => Promise<void>): Promise<void> {
    const before = { ...webgpuRoutines };
    Object.assign(webgpuRoutines, routines);
    const own = await open();
    try {
      await test(own);
    } finally {
      Object.assign(webgpuRoutines, before);
      own.dispose();
    }
  }

  it('four elements at a time, with broadcasts, guards and slices', () =>
    agree((on) => {
      const x = random(1, [40, 33, 4], on);
      const y = random(2, [33, 4], on);
      const shifted = x.pad(1, 1, 2).slice(1, 0, 33, 1);
      return [x.mul(y).add(1), shifted.mul(x).exp(), x.transpose(0, 1).add(1), x.pad(2, 4, 4).mul(2)];
    }));

  it.each(['bfloat16', 'float16'] as const)('%s stores of odd sizes never touch a neighbour', async (dtype: DType) => {
    const round = dtype === 'bfloat16' ? (v: number) => fromBFloat16(toBFloat16(v)) : (v: number) => fromFloat16(toFloat16(v));
    for (const shape of [[1], [2], [3], [5, 7], [3, 130], [65, 64]]) {
      const size = shape.reduce((a, b) => a * b, 1);
      const source = randomValues(randomSource(size), size, -3, 3);
      // In a step of its own arena, beside others: a torn word would show in one of them.
      const x = tensor(source, { shape, device });
      const step = compile(() => {
        const halves = [1, 2, 4].map((k) => x.mul(k).cast(dtype));
        return [...halves.map((h) => h.cast('float32').add(0)), halves[0].sum(-1).cast('float32')];
      });
      const [one, two, four] = step() as Tensor[];
      for (const [t, k] of [[one, 1], [two, 2], [four, 4]] as const) {
        expect(Array.from(await t.data())).toEqual(Array.from(source, (v) => Math.fround(round(Math.fround(v * k)))));
      }
      step.dispose();
      x.dispose();
    }
  });

  it('half-precision results of reductions', () =>
    agree((on) => [random(3, [7, 50], on).sum(-1).cast('bfloat16').cast('float32'), random(3, [50, 7], on).sum(0).cast('float16').cast('float32')]));

  it.each([
    ['few long rows', [3, 9000], -1],
    ['rows in vectors', [70, 600], -1],
    ['rows that no vector fits', [5, 601], -1],
    ['columns', [900, 37], 0],
    ['few columns of many', [5000, 3], 0],
    ['all', [90, 91], undefined],
    ['outer and inner', [20, 30, 21], 1],
  ] as const)('reductions of %s', (_, shape, axis) =>
    agree((on) => {
      const x = random(4, shape, on);
      const sums = axis === undefined ? x.sum() : x.sum(axis);
      return [x.square().sum(axis).sqrt(), axis === undefined ? x.max() : x.max(axis), sums.mul(2)];
    }, 5e-6));

  it('sums of int32 and maxima of NaN in slices', async () => {
    const build: Build = (on) => {
      const i = tensor(Int32Array.from({ length: 20000 }, (_, k) => k * 7919 - 5), { shape: [2, 10000], device: on });
      const x = tensor(Float32Array.from({ length: 20000 }, (_, k) => (k === 15000 ? Number.NaN : Math.sin(k))), { shape: [2, 10000], device: on });
      return [i.sum(-1), i.max(-1), x.max(-1)];
    };
    expect((await values(build, device)).map((v) => Array.from(v))).toEqual((await values(build, oracle)).map((v, i) => Array.from(v, (x) => (i < 2 ? x : Math.fround(x)))));
  });

  it('more operands than a kernel may bind', () =>
    agree((on) => concat(Array.from({ length: 30 }, (_, i) => random(i, [i + 1, 3], on).mul(2)), 0)));

  it('one memory as several operands', () =>
    agree((on) => {
      const x = random(5, [36, 36], on).exp();
      return [matmul(x, x), matmul(x, x, { transposeB: true }), matmul(x, x).add(x), matmul(x, x, { transposeA: true }).mul(x.slice(0, 0, 1, 1))];
    }));

  it('long rows sorted stage by stage, long lines summed in pieces', () =>
    agree((on) => {
      const x = random(6, [2, 3000], on);
      return [sort(x).values, sort(x).indices.cast('float32'), cumsum(x, 1), cumsum(x, 1, true)];
    }, 1e-5));

  it.each([
    [2100, 4, 3],
    [9000, 7, 130],
  ])('%i updates added into %i rows of %i, in slices', (count, rows, width) =>
    agree((on) => {
      const ids = tensor(Int32Array.from({ length: count }, (_, i) => (i * 7919 + (i >> 3)) % rows), { shape: [count], device: on });
      return scatterAdd(random(15, [count, width], on), ids, rows);
    }, 1e-5));

  /** Long convolutions as on a device of these limits. */
  function longConvOn(limits: Partial<Capabilities>): Partial<typeof webgpuRoutines> {
    const limited = (r: WebGpuRoutine): WebGpuRoutine => ({
      scratchBytes: (call, c) => r.scratchBytes?.(call, { ...c, ...limits }) ?? 0,
      passes: (call, memory, c) => r.passes(call, memory, { ...c, ...limits }),
    });
    const by = longConvBy('transforms');
    return { longConv: limited(by.longConv), longConvGradInput: limited(by.longConvGradInput), longConvGradKernel: limited(by.longConvGradKernel) };
  }

  // Little workgroup memory makes transforms take several dispatches, small bindings make channels go one pair after the other.
  it.each([
    [2, 37, 3, 37, {}],
    [1, 21, 4, 40, {}],
    [3, 50, 2, 9, {}],
    [2, 37, 3, 37, { workgroupBytes: 128 }],
    [1, 21, 5, 40, { workgroupBytes: 64, maxBindingBytes: 2048 }],
    [3, 50, 2, 9, { workgroupBytes: 64 }],
    [1, 5000, 3, 5000, { workgroupBytes: 1024, maxBindingBytes: 500_000 }],
    [1, 16384, 1, 900, { workgroupBytes: 2048 }],
    [1, 65536, 1, 300, { workgroupBytes: 4096 }],
  ])('long convolutions through transforms: (%i, %i, %i) by %i taps, %o', async (batch, length, channels, taps, limits) => {
    await withRoutines(longConvOn(limits), (own) =>
      agree((on) => {
        const u = random(8, [batch, length, channels], on);
        const kernel = random(9, [taps, channels], on);
        const weights = random(10, [batch, length, channels], on);
        const y = longConv(u, kernel);
        return [y, ...grad(y.mul(weights).sum(), [u, kernel])];
      }, 3e-6, own));
  });

  const ways: readonly (readonly [string, Way])[] = [
    ['rows', 'rows'],
    ['blocks', 'blocks'],
    // As the ones in use but less deep, which a software adapter takes much less time to compile.
    ['tiles', { tile: { m: 32, n: 32, k: 4, rows: 4, columns: 4 }, slices: 1 }],
    ['tiles of fewer invocations', { tile: { m: 16, n: 16, k: 4, rows: 8, columns: 4 }, slices: 1 }],
    ['slices of k', { tile: { m: 32, n: 16, k: 4, rows: 4, columns: 4 }, slices: 3 }],
  ];

  describe.each(ways)('products by %s', (_, way) => {
    const sizes: readonly (readonly [number, number, number, boolean, boolean])[] = [
      [4, 20, 36, false, true],
      [1, 9, 7, false, false],
      [33, 150, 18, true, false],
      [64, 48, 32, false, false],
    ];
    // The first way takes few rows; code for four of them takes a software adapter long to compile.
    const few: typeof sizes = [[2, 20, 36, false, true], sizes[1]];
    it.each(way === 'rows' ? few : sizes)('(%i, %i) by (%i)', (m, k, n, transposeA, transposeB) =>
      withRoutines({ matmul: matmulBy(way) }, (own) =>
        agree((on) => {
          const a = random(m, transposeA ? [2, k, m] : [2, m, k], on);
          const b = random(n, transposeB ? [n, k] : [k, n], on);
          const bias = random(7, [n], on);
          const plain = matmul(a, b, { transposeA, transposeB });
          const halves = matmul(a.cast('bfloat16'), b.cast('float16'), { transposeA, transposeB });
          // The columns from the fifth on of a wider matrix, read where they are.
          const [rows, width] = transposeA ? [k, m] : [m, k];
          const part = random(16, [2, rows, 4 * Math.ceil(width / 4) + 8], on).slice(-1, 4, 4 + width);
          const viewed = matmul(part, b, { transposeA, transposeB });
          if (m !== 4 && m !== 2) return [halves, viewed, plain.add(bias).tanh()];
          const square = random(11, [m, m], on);
          // Factors that the epilogue reads too, and one that is both.
          const shared = [matmul(square, square).add(square), matmul(square, square, { transposeB: true }), matmul(square, square.mul(1.5), { transposeB: true }).mul(square)];
          return [...shared, halves, viewed, matmul(a, b.reshape(1, ...b.shape), { transposeA, transposeB }), plain.add(bias).tanh(), plain.mul(0.5).cast('bfloat16').cast('float32')];
        }, 2e-6, own)));
  });
});

if (missing !== null) console.log(`left out: kernels (${missing})`);
