// Times of every way of running each kernel on one shape, kernel by kernel: what the plan's choices rest on.
import type { ScanShape } from '@mamba-ts/scan';
import type { PlanOverride, ScanPlan } from '../plan';
import { WebGpuScan } from '../scan';
import { BenchBuffers, benchPlans, time } from './bench';

const ways: readonly PlanOverride[] = [
  ...(['subgroups', 'memory'] as const).flatMap((exchange) => [
    { exchange, coefficients: 'array' as const, team: 1 },
    { exchange, coefficients: 'memory' as const, team: 1 },
  ]),
  { exchange: 'memory', coefficients: 'memory', workgroup: 64 },
  { exchange: 'subgroups', coefficients: 'subgroups', team: 1 },
  ...[1, 2, 4, 8, 16, 32].map((segments) => ({ segments })),
  ...[2, 4, 8, 16].map((team) => ({ team })),
];

const backwardWays: readonly PlanOverride[] = [
  { backwardExchange: 'memory', parts: 4 },
  ...[1, 2, 4, 8, 16, 32, 64].map((parts) => ({ parts })),
];

export async function tuneScan(
  device: GPUDevice,
  kernels: WebGpuScan,
  shape: ScanShape,
  chosen: RegExp,
  print: (line: string) => void,
): Promise<void> {
  const title = `${shape.batch}x${shape.channels}x${shape.length}`;
  const buffers = new BenchBuffers(device, shape);
  const run = async (label: string, whole: ScanPlan, keep: (kind: string) => boolean): Promise<void> => {
    const plan: ScanPlan = { ...whole, kernels: whole.kernels.filter(({ options }) => keep(options.kind)) };
    if (plan.kernels.length === 0 || !chosen.test(label)) return;
    try {
      device.pushErrorScope('validation');
      const start = performance.now();
      const prepared = await kernels.prepareAsync(plan);
      const compile = performance.now() - start;
      const { median } = await time(device, [prepared.bind(buffers.all([whole]))], 10, 60);
      const error = await device.popErrorScope();
      print(
        `${title} ${label}: ${median.toFixed(4)} ms (compiled in ${compile.toFixed(0)} ms)${error === null ? '' : ` ERROR ${error.message}`}`,
      );
    } catch (error) {
      print(`${title} ${label}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
    }
  };
  const label = (way: PlanOverride): string =>
    Object.entries(way)
      .map(([name, value]) => `${name} ${value}`)
      .join(' ');
  for (const way of ways) {
    if (shape.length / (way.segments ?? way.team ?? 1) < 32) continue;
    const plans = benchPlans(device, shape, { forward: way, backward: way });
    await run(`forward ${label(way)}`, plans.forward, () => true);
    await run(`forward saving ${label(way)}`, plans.saving, () => true);
    await run(`adjoints ${label(way)}`, plans.backward, (kind) => kind.startsWith('adjoint') || kind === 'combine');
  }
  for (const way of backwardWays) {
    const { backward } = benchPlans(device, shape, { forward: way, backward: way });
    await run(`backward ${label(way)}`, backward, (kind) => kind === 'backward');
    await run(`sums ${label(way)}`, backward, (kind) => kind === 'reduce');
  }
  buffers.destroy();
}
