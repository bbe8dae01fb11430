// Times of every way of running each kernel on one shape, kernel by kernel: what the plan's choices rest on.
import type { ScanShape } from '@mamba-ts/scan';
import type { PlanOverride, ScanPlan } from '../plan';
import { WebGpuScan } from '../scan';
import { BenchBuffers, benchPlans, time } from './bench';

const ways: readonly PlanOverride[] = [
  { exchange: 'subgroups', coefficients: 'array' },
  { exchange: 'subgroups', coefficients: 'subgroups' },
  { exchange: 'subgroups', coefficients: 'memory' },
  { exchange: 'memory', coefficients: 'array' },
  { exchange: 'memory', coefficients: 'memory' },
  { exchange: 'memory', coefficients: 'memory', workgroup: 64 },
];

const backwardWays: readonly PlanOverride[] = [
  { backwardExchange: 'memory', parts: 1 },
  { backwardExchange: 'memory', parts: 2 },
  { backwardExchange: 'memory', parts: 4 },
  { backwardExchange: 'memory', parts: 8 },
  { backwardExchange: 'memory', parts: 4, workgroup: 64 },
  { backwardExchange: 'memory', parts: 4, workgroup: 128 },
  { backwardExchange: 'subgroups', parts: 4 },
];

export async function tuneScan(
  device: GPUDevice,
  kernels: WebGpuScan,
  shape: ScanShape,
  print: (line: string) => void,
): Promise<void> {
  const title = `${shape.batch}x${shape.channels}x${shape.length}`;
  const buffers = new BenchBuffers(device, shape);
  const run = async (label: string, whole: ScanPlan, keep: (kind: string) => boolean): Promise<void> => {
    const plan: ScanPlan = { ...whole, kernels: whole.kernels.filter(({ options }) => keep(options.kind)) };
    if (plan.kernels.length === 0) return;
    try {
      device.pushErrorScope('validation');
      const start = performance.now();
      const prepared = await kernels.prepareAsync(plan);
      const compile = performance.now() - start;
      const { median } = await time(device, [prepared.bind(buffers.all([whole]))], 10);
      const error = await device.popErrorScope();
      print(
        `${title} ${label}: ${median.toFixed(4)} ms (compiled in ${compile.toFixed(0)} ms)${error === null ? '' : ` ERROR ${error.message}`}`,
      );
    } catch (error) {
      print(`${title} ${label}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
    }
  };
  for (const way of ways) {
    const label = Object.entries(way)
      .map(([name, value]) => `${name} ${value}`)
      .join(' ');
    const plans = benchPlans(device, shape, way);
    await run(`forward ${label}`, plans.forward, () => true);
    await run(`forward saving ${label}`, plans.saving, () => true);
    await run(`adjoints ${label}`, plans.backward, (kind) => kind.startsWith('adjoint'));
  }
  for (const way of backwardWays) {
    const label = Object.entries(way)
      .map(([name, value]) => `${name} ${value}`)
      .join(' ');
    const { backward } = benchPlans(device, shape, way);
    await run(`backward ${label}`, backward, (kind) => kind === 'backward');
    await run(`sums ${label}`, backward, (kind) => kind === 'reduce');
  }
  for (const segments of [1, 2, 4, 8, 16, 32]) {
    if (shape.length / segments < 32) continue;
    const plans = benchPlans(device, shape, { segments });
    await run(`forward segments ${segments}`, plans.forward, () => true);
    await run(
      `adjoints segments ${segments}`,
      plans.backward,
      (kind) => kind.startsWith('adjoint') || kind === 'combine',
    );
  }
  buffers.destroy();
}
