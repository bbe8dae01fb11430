// Every shader of the contract's grid is valid WGSL, as printed for graphics cards, which tests cannot run one by one.
import { describe, expect, it } from 'vitest';
import { scanCases } from '@mamba-ts/scan/conformance';
import {
  type OptionalArray,
  type PlanOverride,
  type ScanLimits,
  baselineLimits,
  kernelSource,
  planScan,
} from '@mamba-ts/scan-webgpu';
import { tryOpen } from './devices';

const opened = await tryOpen('all');

/** All WGSL that cards with these limits would get for the grid. */
function sourcesOf(limits: ScanLimits, override?: PlanOverride): Set<string> {
  const sources = new Set<string>();
  for (const { shape, features } of scanCases) {
    const inputs = (['D', 'z', 'deltaBias', 'initialState', 'resets'] as const).filter((name) => features[name]);
    const behind: OptionalArray[] = ['gradLastState', 'gradInitialState'];
    const common = { deltaSoftplus: features.deltaSoftplus, limits };
    const plans = [
      planScan(shape, { ...common, override, pass: 'forward', arrays: [...inputs, 'lastState'], checkpoints: true }),
      planScan(shape, { ...common, override, pass: 'backward', arrays: [...inputs, ...behind] }),
      planScan({ ...shape, length: 1 }, { ...common, pass: 'step', arrays: inputs }),
    ];
    for (const plan of plans) for (const { options } of plan.kernels) sources.add(kernelSource(options));
  }
  return sources;
}

describe('WGSL', () => {
  if (typeof opened === 'string') {
    it.skipIf(true)(`is valid (${opened})`, () => expect.unreachable());
    return;
  }
  const { device } = opened;
  const card = { ...baselineLimits, maxStorageBuffersPerShaderStage: 12, subgroupSize: 32 };
  it.each<[string, ScanLimits, PlanOverride?]>([
    ['what every device has', baselineLimits],
    ['a card with subgroups', card],
    ['segments, B and C in workgroup memory', card, { segments: 2, exchange: 'memory', coefficients: 'memory' }],
  ])('is valid for %s', async (_, limits, override) => {
    const sources = [...sourcesOf(limits, override)];
    expect(sources.length).toBeGreaterThan(100);
    for (const code of sources) {
      device.pushErrorScope('validation');
      const messages = (await device.createShaderModule({ code }).getCompilationInfo()).messages;
      const error = await device.popErrorScope();
      const problems = messages.map(
        ({ type, lineNum, message }) => `${type} in line ${lineNum}: ${message}\n${code.split('\n')[lineNum - 1]}`,
      );
      expect([...problems, ...(error === null ? [] : [error.message])]).toEqual([]);
    }
  });
});
