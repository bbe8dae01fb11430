import { describe, expect, it } from 'vitest';
import { ScanShapeError, type ScanShape } from '@mamba-ts/scan';
import { scanCases } from '@mamba-ts/scan/conformance';
import { type PlannedKernel, planScan, scanBytes } from '@mamba-ts/scan-cuda';

const mamba: ScanShape = {
  ...{ batch: 16, length: 2048, channels: 1024, dState: 16, groups: 1 },
  ...{ complex: false, variableB: true, variableC: true },
};

/** Channels times steps that a forward plan's warps cover. */
function coverage(shape: ScanShape, kernel: PlannedKernel, channels: number): number {
  const { segments = 1, segmentSteps = 0 } = kernel.values ?? {};
  const steps = segments > 1 ? segments * segmentSteps : shape.length;
  const warps = (kernel.grid[0] * kernel.threads) / 32;
  return (warps / segments) * channels * steps;
}

describe('plans', () => {
  it('take the specialised kernels for the usual scan', () => {
    const plan = planScan(mamba, { pass: 'forward', dtype: 'bf16', deltaSoftplus: true });
    expect(plan.kernels.map(({ name }) => name)).toEqual(['forward_bf16_n16k4r2']);
    expect(coverage(mamba, plan.kernels[0], 16)).toBe(mamba.batch * mamba.channels * mamba.length);
    expect(plan.scratchBytes).toBe(0);
    expect(plan.explanation).toContain('128 blocks of 8 warps with 16 channels each');
    for (const batch of [8, 32, 64]) {
      const [{ name, threads, grid }] = planScan({ ...mamba, batch, channels: 2048 }, { pass: 'forward' }).kernels;
      expect(name).toBe('forward_f32_n16k4r2');
      // one block of 8 warps to a multiprocessor, or several of 4
      expect([grid[0], threads]).toEqual(batch === 8 ? [128, 256] : [batch * 32, 128]);
    }
  });

  it('cut one long sequence into segments of whole chunks, which cover it', () => {
    for (const length of [32768, 524288, 32767, 40001]) {
      const plan = planScan({ ...mamba, batch: 1, channels: 128, length }, { pass: 'forward', dtype: 'bf16', checkpoints: true });
      const main = plan.kernels.at(-1)!;
      const { segments, segmentSteps } = main.values!;
      expect(segments).toBeGreaterThan(4);
      expect(segmentSteps % plan.chunk).toBe(0);
      expect(segments * segmentSteps).toBeGreaterThanOrEqual(length);
      expect((segments - 1) * segmentSteps).toBeLessThan(length);
      expect(plan.scratchBytes).toBe(2 * segments * 128 * 16 * 4);
      expect(plan.kernels.map(({ name }) => name)).toEqual(['ends_bf16_n16k4r2', 'combine_forward', 'forward_bf16_n16k4r2']);
    }
  });

  it('take chains of warps where channels are few', () => {
    const names = (shape: ScanShape): string[] => planScan(shape, { pass: 'forward', dtype: 'bf16' }).kernels.map(({ name }) => name);
    expect(names({ ...mamba, batch: 2, length: 16384 })).toEqual(['forward_chain_bf16_n16k4r2t8c']);
    expect(names({ ...mamba, batch: 1, length: 32768 })).toEqual(['forward_chain_bf16_n16k4r1t16c']);
    expect(names({ ...mamba, batch: 1, channels: 1536 })).toEqual(['forward_chain_bf16_n16k8r3t8c']);
    const saving = planScan({ ...mamba, batch: 1, length: 32768 }, { pass: 'forward', dtype: 'bf16', checkpoints: true });
    expect([saving.chunk, saving.kernels[0].name]).toEqual([8, 'forward_chain_bf16_n16k4r1t8a']); // tiles no longer than a chunk
    const { kernels } = planScan({ ...mamba, batch: 1, length: 32768 }, { pass: 'backward', dtype: 'bf16', checkpoints: true });
    expect(kernels.map(({ name }) => name)).toEqual(['adjoint_ends_bf16_n16k4', 'combine_adjoint', 'backward_chain_bf16_n16k4t8']);
    for (const { values } of kernels) expect(values!.segments * values!.segmentSteps).toBeGreaterThanOrEqual(32768);
  });

  it('keep no more than states at chunk boundaries for backward', () => {
    for (const length of [2048, 131072]) {
      for (const [leastMemory, chunk] of [[false, 8], [true, 32]] as const) {
        const shape = { ...mamba, length };
        const states = (shape.batch * length * shape.channels * shape.dState * 4) / chunk;
        const given = planScan(shape, { pass: 'backward', checkpoints: true, leastMemory });
        expect(given.chunk).toBe(chunk);
        expect(given.checkpointBytes).toBe(states);
        expect(given.scratchBytes).toBeLessThan(1.5 * states);
        const own = planScan(shape, { pass: 'backward', leastMemory });
        expect(own.checkpointBytes).toBe(0);
        expect(own.scratchBytes).toBeLessThan(2.5 * states);
        expect(planScan(shape, { pass: 'forward', checkpoints: true, leastMemory }).checkpointBytes).toBe(states);
      }
    }
  });

  it('exist for every case of the contract, with at least one block each', () => {
    for (const { name, shape } of scanCases) {
      for (const pass of ['forward', 'backward'] as const) {
        for (const dtype of ['float32', 'bf16'] as const) {
          const plan = planScan(shape, { pass, dtype });
          expect(plan.explanation.length, name).toBeGreaterThan(20);
          for (const { grid, threads, sharedBytes } of plan.kernels) {
            expect(Math.min(...grid), name).toBeGreaterThan(0);
            expect(threads % 32, name).toBe(0);
            expect(threads, name).toBeLessThanOrEqual(512);
            expect(sharedBytes, name).toBeLessThanOrEqual(99 * 1024); // what a block may have on every card since 2020
          }
        }
      }
    }
  });

  it('have arrays of scratch that do not overlap', () => {
    for (const { name, shape } of scanCases) {
      const plan = planScan(shape, { pass: 'backward' });
      const starts = [...plan.scratch.values(), plan.scratchBytes];
      expect(starts, name).toEqual([...new Set(starts)].sort((a, b) => a - b));
      expect(starts.every((start) => start % 256 === 0), name).toBe(true);
      for (const sum of plan.sums) expect(plan.scratch.has(sum.from), name).toBe(true);
    }
  });

  it('are the same for sizes beyond 2^31 elements', () => {
    const large = { ...mamba, batch: 1, length: 2 ** 22, channels: 4096 };
    const plan = planScan(large, { pass: 'backward', dtype: 'bf16' });
    expect(scanBytes(plan, 'u')).toBe(2 ** 35);
    expect(scanBytes(plan, 'A')).toBe(4096 * 16 * 4);
    expect(plan.scratchBytes).toBeGreaterThan(2 ** 33);
  });

  it.each<[string, () => unknown, string]>([
    ['a pass it does not know', () => planScan(mamba, { pass: 'sideways' as 'forward' }), 'options.pass'],
    ['a dtype it does not know', () => planScan(mamba, { pass: 'forward', dtype: 'f16' as 'bf16' }), 'options.dtype'],
    ['a step of several steps', () => planScan(mamba, { pass: 'step' }), 'shape.length'],
    ['groups that do not divide', () => planScan({ ...mamba, groups: 3 }, { pass: 'forward' }), 'shape.groups'],
    ['257 states', () => planScan({ ...mamba, dState: 257 }, { pass: 'forward' }), 'shape.dState'],
    ['a sequence that is too long', () => planScan({ ...mamba, length: 2 ** 31 }, { pass: 'forward' }), 'shape.length'],
    ['a layout it does not have', () => planScan(mamba, { pass: 'forward', override: { walk: 'n17' } }), 'options.override.walk'],
  ])('refuse %s by name', (_, call, argument) => {
    expect(call).toThrow(ScanShapeError);
    expect(call).toThrow(argument);
  });
});
