import { describe, expect, it } from 'vitest';
import { type BenchmarkResult, formatMarkdown, formatTable, measure, meetsBar, summarize, tableRows } from '@mamba-ts/bench';

const result: BenchmarkResult = {
  benchmark: 'cpu',
  command: 'pnpm bench cpu',
  date: '2026-01-02T03:04:05.000Z',
  device: 'WASM SIMD, 1 thread',
  machine: { cpu: 'Test CPU', cores: 2, memoryGiB: 8, platform: 'Linux x64' },
  versions: { node: '24.0.0', v8: '13.6' },
  measurements: [
    { name: 'matmul', threads: 1, timing: summarize([4, 5, 6]), rate: { value: 52.5, unit: 'GFLOP/s' }, bar: { atLeastRate: 35 } },
    { name: 'scan', threads: 2, timing: summarize([140]), bar: { atMostMs: 130 }, speedup: 1.9 },
  ],
};

describe('timings', () => {
  it('median, fastest and interquartile spread', () => {
    expect(summarize([4, 1, 3, 2, 5])).toEqual({ median: 3, fastest: 1, spread: 2 / 3, samples: 5 });
    expect(summarize([1, 2])).toMatchObject({ median: 1.5, samples: 2 });
  });

  it('measure warms up and takes the demanded samples', () => {
    let calls = 0;
    const timing = measure(() => calls++, { budget: 0, minSamples: 4, warmup: 2 });
    expect([calls, timing.samples]).toEqual([6, 4]);
  });
});

describe('tables', () => {
  it('say whether bars are met', () => {
    expect(result.measurements.map(meetsBar)).toEqual([true, false]);
    expect(tableRows(result)[2]).toEqual(['scan', '2', '140', '±0 %', '', '≤ 130 ms', 'NO', '1.90× one thread']);
    expect(formatTable(tableRows(result)).split('\n')).toHaveLength(4);
  });

  it('name command, machine and versions in Markdown', () => {
    const text = formatMarkdown(result);
    expect(text).toContain('| matmul | 1 | 5.000 | ±10 % | 52.5 GFLOP/s | ≥ 35 GFLOP/s | yes |');
    expect(text).toContain('Measured by `pnpm bench cpu` on 2026-01-02: Test CPU, 2 cores, Linux x64, Node 24.0.0; WASM SIMD, 1 thread.');
  });
});
