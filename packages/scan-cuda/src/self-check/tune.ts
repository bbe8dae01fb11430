// Times the ways of running each kernel on one shape: what the plan's choices rest on.
import type { CudaContext } from '../driver/index';
import { layoutsOf, maxSharedBytes } from '../layout';
import { type PlanOverride, type ScanPlan, type ScanPlanOptions, planScan } from '../plan';
import { CudaScan } from '../scan';
import { BenchArrays, type BenchShape, scanShapeOfBench } from './bench';
import { time } from './timing';

export async function tuneScan(context: CudaContext, kernels: CudaScan, entry: BenchShape, ways: RegExp, print: (line: string) => void): Promise<void> {
  const scan = scanShapeOfBench(entry);
  const base = { dtype: entry.dtype, deltaSoftplus: true, checkpoints: true, multiprocessors: context.multiprocessors };
  const arrays = new BenchArrays(context, planScan(scan, { ...base, pass: 'forward' }));
  const stream = context.createStream();
  const title = `${entry.batch}x${entry.channels}x${entry.length} ${entry.dtype}`;
  const run = async (label: string, options: ScanPlanOptions, keep: (kernel: string) => boolean, sums: boolean): Promise<void> => {
    if (!ways.test(label)) return;
    const whole = planScan(scan, options);
    const plan: ScanPlan = { ...whole, kernels: whole.kernels.filter((kernel) => keep(kernel.name)), sums: sums ? whole.sums : [] };
    if (plan.kernels.some((kernel) => kernel.sharedBytes > maxSharedBytes)) return;
    const prepared = await kernels.prepare(plan);
    const extra = { checkpoints: context.allocate(plan.checkpointBytes), scratch: context.allocate(plan.scratchBytes) };
    const pointers = arrays.all(extra);
    const { median } = time(context, stream, () => prepared.launch(pointers, stream), 8);
    print(`${title} ${label} ${median.toFixed(4)}`);
    for (const pointer of Object.values(extra)) context.free(pointer);
  };
  const { chunk } = arrays.plan;
  const forward = async (label: string, override: PlanOverride, steps = 1): Promise<void> => {
    for (const checkpoints of steps <= chunk ? [false, true] : [false]) {
      const pass = checkpoints ? 'forward with checkpoints' : 'forward';
      await run(`${pass} ${label}`, { ...base, checkpoints, pass: 'forward', override }, () => true, false);
    }
  };
  const walk = async (label: string, override: PlanOverride): Promise<void> => {
    await forward(label, override);
    await run(`adjoint ${label}`, { ...base, pass: 'backward', override }, (kernel) => kernel.includes('adjoint'), false);
  };
  const backward = async (label: string, override: PlanOverride): Promise<void> => {
    const options = { ...base, pass: 'backward', override } as const;
    await run(`main ${label}`, options, (kernel) => !/^adjoint_(split|bf16|f32)/.test(kernel), false);
    await run(`sums ${label}`, options, () => false, true);
  };
  const perMultiprocessor = (entry.batch * entry.channels) / context.multiprocessors;
  for (const layout of layoutsOf(scan, 'whole')) {
    if (layout.masked) continue;
    for (const target of [0, 8, 24]) {
      const segments = Math.max(1, Math.round((target * layout.channels) / perMultiprocessor));
      if (target === 0 || (segments > 1 && segments * 64 <= entry.length)) await walk(`${layout.name} segments ${segments}`, { walk: layout.name, segments });
    }
  }
  for (const { name, masked } of layoutsOf(scan, 'split and backward')) {
    if (!masked) for (const slices of [4, 8]) await walk(`${name} slices ${slices}`, { walk: name, slices });
  }
  for (const { name, channels, maxWarps, steps } of layoutsOf(scan, 'forward chain')) {
    for (const slices of [1, 2, 3, 4, 5, 6, 8, 12, 16].filter((count) => count <= maxWarps)) {
      const warps = (perMultiprocessor / channels) * slices;
      if (warps >= 5 && warps <= 24) await forward(`chain ${name} of ${slices}`, { walk: name, slices }, steps);
    }
  }
  await backward('n16k4', { backward: 'n16k4' });
  for (const { name, channels, maxWarps } of layoutsOf(scan, 'backward chain')) {
    for (const warps of [2, 3, 4, 6, 8, 12].filter((count) => count <= maxWarps)) {
      for (const sets of [1, 2, 3, 4, 6, 8]) {
        const blocks = perMultiprocessor / channels / sets;
        const segments = Math.max(1, Math.ceil(7.5 / (blocks * warps)));
        if (entry.length / segments < 128) continue;
        await backward(`chain ${name} of ${warps}, ${sets} sets, ${segments} segments`, { backward: name, chain: { warps, sets, segments } });
      }
    }
  }
  arrays.free();
  stream.destroy();
}
