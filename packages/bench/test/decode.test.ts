import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromMambaConfig } from '@mamba-ts/models';
import { expect, it } from 'vitest';
import { writeRandomGguf } from '../src/decode/gguf';
import { measureLlamaCpp } from '../src/decode/llama-cpp';
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

it('writes a checkpoint for llama.cpp whose tensors fill the file, at aligned offsets', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mamba-bench-test-'));
  try {
    const sizes = { dModel: 16, nLayer: 2, vocabSize: 8, dInner: 32, dState: 4, dtRank: 1, dConv: 4 };
    const weights = 8 * 16 + 2 * (64 * 16 + 9 * 32 + 32 + 16 * 32);
    const floats = 16 + 2 * (16 + 32 * 4 + 32 + 32 + 32 * 4 + 32);
    for (const [dtype, width] of [
      ['float32', 4],
      ['bfloat16', 2],
      ['float16', 2],
    ] as const) {
      const path = join(folder, `${dtype}.gguf`);
      await writeRandomGguf(path, sizes, dtype);
      const bytes = await readFile(path);
      expect(bytes.subarray(0, 4).toString()).toBe('GGUF');
      expect([bytes.readUInt32LE(4), bytes.readBigUInt64LE(8)]).toEqual([3, 22n]);
      const last = 'blk.1.ssm_d';
      const at = bytes.lastIndexOf(last) + last.length;
      // One dimension of 32 numbers in float32 (type 0), which end the file.
      expect([bytes.readUInt32LE(at), bytes.readBigUInt64LE(at + 4), bytes.readUInt32LE(at + 12)]).toEqual([1, 32n, 0]);
      const begin = Math.ceil((at + 24) / 32) * 32;
      expect(begin + Number(bytes.readBigUInt64LE(at + 16)) + 128).toBe(bytes.length);
      // Every tensor of these sizes fills whole blocks of 32 bytes.
      expect(bytes.length - begin).toBe(weights * width + floats * 4);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('tells of a folder without node-llama-cpp', async () => {
  const sizes = { dModel: 8, nLayer: 1, vocabSize: 8, dInner: 16, dState: 4, dtRank: 1, dConv: 4 };
  await expect(
    measureLlamaCpp('/nowhere', sizes, 'float32', { threads: 1, budget: 1, promptLength: 8 }),
  ).rejects.toThrow(/node-llama-cpp/);
});
