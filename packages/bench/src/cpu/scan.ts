import { compile, grad, selectiveScan, type Variable } from '@mamba-ts/tensor';
import { measure } from '../measure';
import type { Measurement } from '../results';
import { type CpuBenchmark, operand } from './benchmark';

const [length, channels, dState] = [2048, 1536, 16];

function operands(): Record<'u' | 'delta' | 'A' | 'B' | 'C' | 'D' | 'z' | 'deltaBias', Variable> {
  return {
    u: operand([1, length, channels]),
    delta: operand([1, length, channels]),
    A: operand([channels, dState], -16, -0.5),
    B: operand([1, length, 1, dState]),
    C: operand([1, length, 1, dState]),
    D: operand([channels]),
    z: operand([1, length, channels]),
    deltaBias: operand([channels], -6, -2),
  };
}

/** The scan of the 130m model's width over 2048 tokens, with everything that model uses. */
export const scanBenchmarks: readonly CpuBenchmark[] = [
  {
    name: 'scan',
    run: (_, threads) => {
      const label = `${length}×${channels}×${dState}`;
      const x = operands();
      const all = Object.values(x);
      const forward = compile(() => selectiveScan({ ...x, deltaSoftplus: true }).y);
      const both = compile(() => {
        const { y } = selectiveScan({ ...x, deltaSoftplus: true });
        return [y, ...grad(y.sum(), all)];
      });
      const states = length * channels * dState;
      const results: Measurement[] = [
        { name: `scan forward ${label}`, timing: measure(() => void forward()), bar: threads === 1 ? { atMostMs: 130 } : { atLeastSpeedup: 1.7 } },
        { name: `scan forward and backward ${label}`, timing: measure(() => void both()) },
      ].map((m) => ({ ...m, threads, rate: { value: states / m.timing.median / 1e6, unit: 'G states/s' } }));
      for (const t of [...all, forward, both]) t.dispose();
      return results;
    },
  },
];
