import { type Kernel, type KernelStep, type Program, sizeOf } from '@mamba-ts/tensor';
import type { Pass } from '../pass';
import { bindBuffers, coordinates, indent } from './bindings';
import { BodyPrinter, type Lanes, oneLane } from './body';
import { reductionPasses } from './reduction';

/** Elements from which invocations take four at a time: below, there are too few of them to fill a device. */
const vectorFrom = 4096;

/** A kernel step as one dispatch, or two for a reduction of few long rows. */
export function kernelPasses(step: KernelStep, program: Program): Pass[] {
  const { kernel } = step;
  if (kernel.reduces.length > 0) return reductionPasses(step, program);
  const lanes = mapLanes(kernel);
  const total = sizeOf(kernel.domain);
  const invocations = Math.ceil(total / lanes.count);
  const workgroupSize = invocations >= 8192 ? 256 : 64;
  const { buffers, bindings } = bindBuffers(step, program, lanes);
  const body = new BodyPrinter(kernel, buffers, lanes, (d, lane) => (lanes.kind === 'each' ? `i${d}_${lane}` : `i${d}`));
  body.instructions(kernel.body, 0);
  body.stores('body');
  const lines = [`let at = group * ${workgroupSize}u + lane;`, `if (at >= ${invocations}u) { return; }`];
  if (lanes.kind === 'inner') lines.push(...coordinates(kernel.domain, 0, lanes.count === 1 ? 'at' : `at * ${lanes.count}u`, ''));
  else for (let lane = 0; lane < lanes.count; lane++) lines.push(...coordinates(kernel.domain, 0, `min(at * ${lanes.count}u + ${lane}u, ${total - 1}u)`, `_${lane}`));
  const pass: Pass = {
    label: lanes.count === 1 ? 'wgsl kernel' : `wgsl kernel, ${lanes.count} elements`,
    bindings,
    body: indent([...lines, ...body.lines]),
    workgroupSize,
    workgroups: Math.ceil(invocations / workgroupSize),
  };
  return [pass];
}

/** Halves are stored two at a time, so that no two invocations write one word. */
function mapLanes(kernel: Kernel): Lanes {
  const { domain } = kernel;
  const dim = domain.length - 1;
  const inner = domain[dim] ?? 1;
  const halves = kernel.stores.some((s) => s.access.dtype === 'bfloat16' || s.access.dtype === 'float16');
  if (inner % 4 === 0 && sizeOf(domain) >= vectorFrom) return { kind: 'inner', count: 4, dim };
  if (!halves) return oneLane;
  return inner % 2 === 0 ? { kind: 'inner', count: 2, dim } : { kind: 'each', count: 2 };
}
