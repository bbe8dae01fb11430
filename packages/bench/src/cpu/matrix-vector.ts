import { compile } from '@mamba-ts/tensor';
import { measure } from '../measure';
import { type CpuBenchmark, operand } from './benchmark';

const [rows, columns] = [50280, 768];

/** The head of the 130m model at decode: a memory-bound product. */
export const matrixVectorBenchmarks: readonly CpuBenchmark[] = [
  {
    name: `matrix × vector ${rows}×${columns}`,
    run: (_, threads) => {
      const weight = operand([rows, columns]);
      const x = operand([1, columns]);
      const step = compile(() => x.matmul(weight, { transposeB: true }));
      const timing = measure(() => void step(), { warmup: 10 });
      for (const t of [weight, x, step]) t.dispose();
      const bytes = 4 * (rows * columns + rows + columns);
      return [{ name: `matrix × vector ${rows}×${columns}`, threads, timing, rate: { value: bytes / timing.median / 1e6, unit: 'GB/s' } }];
    },
  },
];
