import { fromMambaConfig } from '@mamba-ts/models';
import { expect, it } from 'vitest';
import { runDecodeSuite } from '../src/decode/suite';
import type { Measurement } from '../src/results';

it('measures a small model on one and two threads, each figure once, beside its memory floor', async () => {
  const seen: Measurement[] = [];
  const config = fromMambaConfig({ d_model: 16, n_layer: 2, vocab_size: 50 });
  const options = { dtypes: ['float32', 'bfloat16'], threads: 2, budget: 1, promptLength: 8, newTokens: 4 } as const;
  const { device, measurements } = await runDecodeSuite(config, false, options, (m) => seen.push(m));
  expect(device).toContain('2 threads');
  expect(seen).toEqual(measurements);
  const names = (dtype: string): string[] => [
    `memory floor, ${dtype} weights`,
    `one token, ${dtype} weights`,
    `prefill of 8 tokens, ${dtype} weights`,
    `generate, ${dtype} weights`,
  ];
  expect(measurements.map((m) => `${m.name} ${m.threads}`)).toEqual(
    [1, 2].flatMap((threads) => [...names('float32'), ...names('bfloat16')].map((n) => `${n} ${threads}`)),
  );
  for (const m of measurements) expect(m.timing.median, m.name).toBeGreaterThan(0);
  const token = measurements[1];
  expect(token.note).toMatch(/^\d+ % of the floor, \d+ kernels, \d+ routines$/);
  expect(token.bar?.atMostMs).toBeCloseTo(measurements[0].timing.median / 0.75, 1);
  expect(measurements[4].note).toMatch(/^read-only pass over 0 MiB, (one stream|4 streams|8 streams) a thread$/);
  expect(measurements.filter((m) => m.speedup !== undefined)).toHaveLength(8);
});
