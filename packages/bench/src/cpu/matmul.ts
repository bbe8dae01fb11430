import { compile } from '@mamba-ts/tensor';
import { measure } from '../measure';
import { type CpuBenchmark, operand } from './benchmark';

/** Square float32 products. */
export const matmulBenchmarks: readonly CpuBenchmark[] = [256, 512, 1024].map((n) => ({
  name: `matmul ${n}`,
  run: (_, threads) => {
    const a = operand([n, n]);
    const b = operand([n, n]);
    const step = compile(() => a.matmul(b));
    const timing = measure(() => void step(), { warmup: 10 });
    for (const t of [a, b, step]) t.dispose();
    const bar = n === 512 && threads === 1 ? { atLeastRate: 35 } : undefined;
    return [{ name: `matmul ${n}`, threads, timing, rate: { value: (2 * n ** 3) / timing.median / 1e6, unit: 'GFLOP/s' }, bar }];
  },
}));
