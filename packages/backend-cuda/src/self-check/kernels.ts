import { argmax, crossEntropy, cumsum, type Device, gather, realize, reference, scatterAdd, scope, sort, tensor, type Tensor } from '@mamba-ts/tensor';
import { randomIntegers, randomSource, randomValues, relativeError, type TestRunner } from '@mamba-ts/tensor/conformance';

/** A computation of one float and one int32 input, and how exact it must be. */
interface Case {
  readonly name: string;
  readonly shape: readonly number[];
  readonly ids?: { readonly shape: readonly number[]; readonly below: number };
  readonly run: (x: Tensor, ids: Tensor) => readonly Tensor[];
  readonly tolerance: number;
}

/** Reductions in every geometry and at sizes where blocks, splits and wide accesses come in. */
const reductions: Case[] = [
  [1, 7], [1, 768], [1, 50_280], [1, 400_001], [2, 200_000], [5, 4097], [16, 768], [300, 768], [2048, 256], [10_000, 31], [100_000, 3], [768, 512], [16_384, 32],
].flatMap((shape): Case[] => [
  { name: `sum and max over the last axis of ${shape.join('x')}`, shape, tolerance: 2e-6, run: (x) => [x.mul(x).sum(1), x.max(1)] },
  { name: `sum and max over the first axis of ${shape.join('x')}`, shape, tolerance: 2e-6, run: (x) => [x.mul(x).sum(0), x.max(0).add(x.sum(0).mul(0))] },
  { name: `norm of ${shape.join('x')}`, shape, tolerance: 2e-6, run: (x) => [x.mul(x.square().mean(1, true).add(1e-5).rsqrt())] },
]);

const halves: Case[] = [[256, 1536], [33, 100], [128, 2048], [1, 16]].flatMap((shape) =>
  (['bfloat16', 'float16'] as const).map((dtype): Case => ({
    name: `product with a ${dtype} matrix of ${shape.join('x')}`, shape, tolerance: 2e-6,
    run: (x) => [x.cast(dtype).cast('float32').mul(x.slice(0, 0, 1)).sum(1), x.cast(dtype).mul(2)],
  })),
);

const elementwise: Case[] = [[300_003], [512, 1024], [64, 3, 65, 17]].flatMap((shape): Case[] => [
  { name: `elementwise over ${shape.join('x')}`, shape, tolerance: 2e-6, run: (x) => [x.exp().add(1).log().mul(x.sigmoid()), x.mul(3).sub(x.tanh())] },
  { name: `views over ${shape.join('x')}`, shape, tolerance: 2e-6, run: (x) => [x.flip(0).add(x), x.pad(0, 1, 2).slice(0, 0, shape[0]), x.reshape(x.size).slice(0, 1, x.size, 2)] },
]);

const rows: Case[] = [
  ...[[5280, 768, 1096], [17, 64, 10_000], [300, 97, 700], [9, 2500, 70], [16, 64, 65_536]].flatMap(([table, width, count]): Case[] => [
    {
      name: `gather ${count} rows of ${table}x${width}`, shape: [table, width], ids: { shape: [count], below: table }, tolerance: 0,
      run: (x, ids) => [gather(x, ids)],
    },
    {
      name: `scatterAdd ${count} rows into ${table}x${width}`, shape: [count, width], ids: { shape: [count], below: table }, tolerance: 2e-6,
      run: (x, ids) => [scatterAdd(x, ids, table)],
    },
  ]),
  ...[[1, 50_280], [40, 50_280], [4096, 17], [5, 4096], [30, 1]].flatMap(([count, classes]): Case[] => [
    { name: `crossEntropy of ${count}x${classes}`, shape: [count, classes], ids: { shape: [count], below: classes }, tolerance: 2e-6, run: (x, ids) => [crossEntropy(x.mul(8), ids)] },
    { name: `argmax of ${count}x${classes}`, shape: [count, classes], tolerance: 0, run: (x) => [argmax(x), argmax(x.mul(0)), argmax(x.cast('bfloat16'))] },
    { name: `sort of ${count}x${classes}`, shape: [count, classes], tolerance: 0, run: (x) => { const s = sort(x.cast('bfloat16')); return [s.values, s.indices]; } },
  ]),
  ...[[3, 1000, 5], [1, 100_000, 1], [16, 512, 256], [7, 63, 9]].flatMap((shape): Case[] =>
    [false, true].map((reverse) => ({ name: `cumsum${reverse ? ' from the end' : ''} of ${shape.join('x')}`, shape, tolerance: 5e-6, run: (x) => [cumsum(x, 1, reverse)] })),
  ),
];

/** Products with what follows them on their way to memory; parts of wider arrays as operands. */
const followed: Case[] = [[25_411, 64], [300, 64]].flatMap((shape): Case[] => {
  // Another matrix of 64 columns each time, so that no two results share a product.
  const times = (x: Tensor, at: number): Tensor => x.matmul(x.slice(0, 4 * at, 4 * at + 64), { transposeB: true });
  const bias = (x: Tensor): Tensor => x.slice(0, 7, 8).reshape(64);
  const silu = (x: Tensor): Tensor => x.mul(x.sigmoid());
  return [
    {
      name: `products of ${shape.join('x')} and bias, activation, residual`, shape, tolerance: 3e-6,
      run: (x) => [times(x, 0).add(x), silu(times(x, 1).add(bias(x))), times(x, 2).add(bias(x)).maximum(0).add(x), silu(times(x, 3)).add(x.cast('bfloat16').cast('float32'))],
    },
    { name: `products of ${shape.join('x')} and a cast`, shape, tolerance: 9e-3, run: (x) => [times(x, 0).cast('bfloat16'), times(x, 1).add(bias(x)).add(x).cast('float16')] },
    {
      name: `products of parts of ${shape.join('x')}`, shape, tolerance: 3e-6,
      run: (x) => [x.slice(1, 4, 40).matmul(x.slice(0, 0, 36)), x.slice(1, 60, 64).matmul(x.slice(0, 0, 4)), x.matmul(x.slice(1, 0, 4), { transposeA: true })],
    },
  ];
});

/** Kernels of the printer and row routines at real sizes, against the reference device; each twice, with the same bits. */
export function kernelChecks({ describe, it, expect }: TestRunner, device: Device): void {
  describe('kernels and row routines', () => {
    for (const c of [...elementwise, ...reductions, ...halves, ...rows, ...followed]) {
      it(c.name, async () => {
        const random = randomSource(c.shape.length + c.shape[0]);
        const x = randomValues(random, c.shape.reduce((a, b) => a * b, 1));
        const ids = randomIntegers(random, c.ids?.shape.reduce((a, b) => a * b, 1) ?? 1, 0, c.ids?.below ?? 1);
        const on = async (d: Device): Promise<ArrayLike<number>[]> => {
          const out = scope(() => {
            const results = c.run(tensor(x, { shape: c.shape, device: d }), tensor(ids, { shape: c.ids?.shape ?? [1], device: d }));
            realize(...results);
            return results;
          });
          const values = [];
          for (const t of out) {
            values.push(await t.data());
            t.dispose();
          }
          return values;
        };
        const before = device.memory().buffers;
        const first = await on(device);
        const second = await on(device);
        const oracle = await reference();
        const exact = await on(oracle);
        oracle.dispose();
        first.forEach((values, i) => {
          expect(relativeError(values, exact[i]), `output ${i}`).toBeLessThan(c.tolerance + 1e-30);
          expect(relativeError(values, second[i]), `output ${i}, second run`).toBe(0);
        });
        expect(device.memory().buffers).toBe(before);
      });
    }
  });
}
