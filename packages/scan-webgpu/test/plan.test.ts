import { describe, expect, it } from 'vitest';
import { ScanShapeError, type ScanShape } from '@mamba-ts/scan';
import { scanCases } from '@mamba-ts/scan/conformance';
import {
  type OptionalArray,
  type ScanLimits,
  type ScanPlan,
  baselineLimits,
  planScan,
  scanBytes,
} from '@mamba-ts/scan-webgpu';
import { backwardMemory } from '../src/wgsl/backward';
import { boundArrays, usesScratch } from '../src/wgsl/module';
import { teamMemory } from '../src/wgsl/team';

const mamba: ScanShape = {
  ...{ batch: 16, length: 2048, channels: 1024, dState: 16, groups: 1 },
  ...{ complex: false, variableB: true, variableC: true },
};
const card: ScanLimits = {
  ...{ ...baselineLimits, maxStorageBuffersPerShaderStage: 16, subgroupSize: 32 },
  ...{ maxStorageBufferBindingSize: 2 ** 31 - 4, maxBufferSize: 2 ** 40 },
};

const kinds = (plan: ScanPlan): string[] => plan.kernels.map(({ options }) => options.kind);

describe('plans', () => {
  it('walk once over many channels', () => {
    const plan = planScan(mamba, {
      pass: 'forward',
      limits: card,
      arrays: ['D', 'z', 'deltaBias'],
      deltaSoftplus: true,
    });
    expect(kinds(plan)).toEqual(['forward']);
    expect(plan.kernels[0].workgroups).toBe((16 * 1024) / 8);
    expect(plan.scratchBytes).toBe(0);
    expect(plan.arrays).toEqual(['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'y']);
    expect(plan.explanation).toContain('time uncut');
  });

  it('let subgroups of a workgroup take tiles of steps in turn where channels are few', () => {
    const large = { ...card, maxComputeInvocationsPerWorkgroup: 1024, maxComputeWorkgroupStorageSize: 49152 };
    for (const [batch, channels, length, team, alsoForward] of [
      [8, 1024, 4096, 2, false],
      [2, 1024, 16384, 4, false],
      [1, 1024, 32768, 8, false],
      [1, 1536, 2048, 4, false],
      [1, 1536, 256, 4, true],
    ] as const) {
      const shape = { ...mamba, batch, channels, length };
      const backward = planScan(shape, { pass: 'backward', limits: large, checkpoints: true });
      expect(kinds(backward).slice(0, 2)).toEqual(['adjoint', 'backward']);
      const { options, workgroups } = backward.kernels[0];
      expect([options.team, options.workgroup, options.steps]).toEqual([team, 32 * team, backward.chunk]);
      expect(workgroups).toBe((batch * channels) / 8);
      expect(backward.explanation).toContain(`${team} subgroups of a workgroup take 16 steps in turn`);
      const forward = planScan(shape, { pass: 'forward', limits: large });
      expect(kinds(forward)).toEqual(alsoForward ? ['forward'] : ['ends', 'combine', 'forward']);
      if (alsoForward) expect(forward.kernels[0].options.team).toBe(team);
    }
    const many = planScan(mamba, { pass: 'backward', limits: large, checkpoints: true });
    expect(many.kernels[0].options.team).toBe(1);
    const small = planScan({ ...mamba, batch: 1, length: 4096 }, { pass: 'backward', limits: card, checkpoints: true });
    expect(small.kernels[0].options.team).toBe(2); // 16 KiB of workgroup memory
  });

  it('cut one long sequence with very few channels into segments of whole chunks, which cover it', () => {
    for (const length of [32768, 131072, 32767, 40001]) {
      const plan = planScan(
        { ...mamba, batch: 1, channels: 64, length },
        { pass: 'forward', limits: card, checkpoints: true },
      );
      expect(kinds(plan)).toEqual(['ends', 'combine', 'forward']);
      const { segments = 0, segmentSteps = 0 } = plan.kernels[2].sizes;
      expect(segments).toBeGreaterThan(4);
      expect(segmentSteps % plan.chunk).toBe(0);
      expect(segments * segmentSteps).toBeGreaterThanOrEqual(length);
      expect((segments - 1) * segmentSteps).toBeLessThan(length);
      expect(plan.scratchBytes).toBe(2 * segments * 64 * 16 * 4);
    }
  });

  it('take a step as one dispatch without loops over time', () => {
    const plan = planScan({ ...mamba, length: 1 }, { pass: 'step', limits: card });
    expect(kinds(plan)).toEqual(['forward']);
    expect(plan.kernels[0].options.steps).toBe(1);
    expect(plan.arrays).toContain('lastState');
  });

  it('keep no more than states at chunk boundaries for backward', () => {
    for (const length of [2048, 8192]) {
      const shape = { ...mamba, length };
      const states = (shape.batch * length * shape.channels * shape.dState * 4) / 16;
      const given = planScan(shape, { pass: 'backward', limits: card, checkpoints: true });
      expect(given.checkpointBytes).toBe(states);
      expect(given.scratchBytes).toBeLessThan(1.3 * states);
      const own = planScan(shape, { pass: 'backward', limits: card });
      expect(own.checkpointBytes).toBe(0);
      expect(own.scratchBytes).toBeLessThan(2.3 * states);
    }
  });

  it('stay within the limits for every case of the contract', () => {
    for (const limits of [
      baselineLimits,
      card,
      { ...card, subgroupSize: 4, software: true },
      { ...baselineLimits, maxComputeWorkgroupsPerDimension: 20 },
    ]) {
      for (const { name, shape, features } of scanCases) {
        const inputs = (['D', 'z', 'deltaBias', 'initialState', 'resets'] as const).filter((array) => features[array]);
        const more = {
          forward: ['lastState'],
          backward: ['gradLastState', 'gradInitialState'],
        } as const satisfies Record<string, OptionalArray[]>;
        for (const pass of ['forward', 'backward'] as const) {
          const plan = planScan(shape, { pass, limits, arrays: [...inputs, ...more[pass]], deltaSoftplus: true });
          for (const { options, grid, workgroups, sizes } of plan.kernels) {
            const buffers = boundArrays(options).length + (usesScratch(options) ? 1 : 0);
            expect(buffers, name).toBeLessThanOrEqual(limits.maxStorageBuffersPerShaderStage);
            expect(options.workgroup, name).toBeLessThanOrEqual(limits.maxComputeInvocationsPerWorkgroup);
            expect(options.workgroup % options.lanes, name).toBe(0);
            expect(Math.max(...grid), name).toBeLessThanOrEqual(limits.maxComputeWorkgroupsPerDimension);
            expect(grid[0] * grid[1], name).toBeGreaterThanOrEqual(workgroups);
            expect(workgroups, name).toBeGreaterThan(0);
            for (const value of Object.values(sizes)) expect(value! >>> 0, name).toBe(value); // whole, 32 bits, not negative
            if (options.team > 1)
              expect(teamMemory(options), name).toBeLessThanOrEqual(limits.maxComputeWorkgroupStorageSize);
            if (options.kind === 'backward')
              expect(backwardMemory(options), name).toBeLessThanOrEqual(limits.maxComputeWorkgroupStorageSize);
          }
        }
      }
    }
  });

  it('move arrays through the scratch where a stage may bind few', () => {
    const arrays = ['D', 'z', 'deltaBias', 'initialState', 'resets', 'lastState'] as const;
    const shape = { ...mamba, batch: 2, length: 64 };
    const plan = planScan(shape, { pass: 'forward', arrays });
    expect(kinds(plan)).toEqual(['copy', 'copy', 'copy', 'copy', 'copy', 'forward']);
    expect(plan.explanation).toContain('through the scratch');
    expect(kinds(planScan(shape, { pass: 'forward', arrays, limits: card }))).toEqual(['forward']);
  });

  it.each<[string, () => unknown, string]>([
    ['a pass it does not know', () => planScan(mamba, { pass: 'sideways' as 'forward' }), 'options.pass'],
    ['a dtype it does not know', () => planScan(mamba, { pass: 'forward', dtype: 'bf16' as 'f16' }), 'options.dtype'],
    ['f16 on a device without it', () => planScan(mamba, { pass: 'forward', dtype: 'f16' }), 'shader-f16'],
    [
      'an array of another pass',
      () => planScan(mamba, { pass: 'forward', arrays: ['gradLastState'] }),
      'options.arrays',
    ],
    ['a step of several steps', () => planScan(mamba, { pass: 'step' }), 'shape.length'],
    ['groups that do not divide', () => planScan({ ...mamba, groups: 3 }, { pass: 'forward' }), 'shape.groups'],
    ['257 states', () => planScan({ ...mamba, dState: 257 }, { pass: 'forward' }), 'shape.dState'],
    [
      'arrays that no binding holds',
      () => planScan({ ...mamba, length: 2 ** 20 }, { pass: 'forward' }),
      'bytes of u, expected arrays of at most',
    ],
  ])('refuse %s by name', (_, call, argument) => {
    expect(call).toThrow(ScanShapeError);
    expect(call).toThrow(argument);
  });

  it('say how large arrays are', () => {
    const plan = planScan(mamba, { pass: 'forward', limits: card });
    expect(scanBytes(plan, 'u')).toBe(16 * 2048 * 1024 * 4);
    expect(scanBytes(plan, 'A')).toBe(1024 * 16 * 4);
    const half = planScan(
      { ...mamba, batch: 1, length: 1, channels: 3 },
      { pass: 'forward', dtype: 'f16', limits: { ...card, f16: true } },
    );
    expect(scanBytes(half, 'u')).toBe(8); // three halves, in whole words
  });
});
