import type { Backend } from '../backend';
import { finishKernel } from './collapse';
import { type Affine, identityRows, reshapeRows, zero } from './index-map';
import type { Instruction, Kernel } from './kernel';
import type { Buffer, KernelBuilder } from './kernel-builder';
import { contiguousStrides, sizeOf } from '../shape';
import { type DraftRoutine, type DraftStep, reads, routineCall } from './schedule';

/**
 * Hands elementwise kernels to the routine whose first output they read point by point: the product goes through bias, activation and residual
 * in registers and reaches memory once. Only where nothing else reads that output (nor `kept` names it) and the backend agrees. The routine
 * moves down to its consumer, whose other operands exist there; values are written once, so nothing in between can disturb its inputs.
 */
export function absorbEpilogues(steps: readonly DraftStep[], kept: ReadonlySet<Buffer>, backend: Backend): DraftStep[] {
  const list = [...steps];
  for (let at = 0; at < list.length; at++) {
    const consumer = list[at];
    if (consumer.kind !== 'kernel' || consumer.builder.reduces.length > 0) continue;
    for (let before = at - 1; before >= 0; before--) {
      const routine = list[before];
      if (routine.kind !== 'routine' || routine.epilogue) continue;
      const [output, ...others] = routine.outputs;
      if (kept.has(output) || !consumer.builder.loads.some((l) => l.buffer === output)) continue;
      if (list.some((s, i) => i !== at && reads(s).includes(output))) continue;
      if (list.slice(before + 1, at + 1).some((s) => reads(s).some((b) => others.includes(b)))) continue;
      const finished = epilogueKernel(routine, consumer.builder);
      if (!finished || !backend.absorbsEpilogue?.(routineCall(routine), finished.kernel)) continue;
      list[at] = { ...routine, epilogue: consumer.builder };
      list.splice(before, 1);
      at--;
      break;
    }
  }
  return list;
}

/**
 * The kernel over the shape of the routine's first output, which becomes its buffer 0. Null if it reads that output other than point by point, or
 * walks another operand in a way that is not affine over that shape.
 */
export function epilogueKernel(routine: DraftRoutine, builder: KernelBuilder): { kernel: Kernel; buffers: Buffer[] } | null {
  const { kernel, buffers: order } = finishKernel(builder);
  const { shape } = routine.op.outputs[0];
  const rank = shape.length;
  if (sizeOf(shape) === 0 || sizeOf(kernel.domain) !== sizeOf(shape)) return null;
  const rows = reshapeRows(identityRows(rank, 0, rank), shape, kernel.domain, shape);
  if (rows === null || !Array.isArray(rows)) return null;
  const affine = <A extends { readonly offset: number; readonly strides: readonly number[] }>(a: A): A => {
    const out: Affine = { ...zero(rank), offset: a.offset };
    a.strides.forEach((s, d) => {
      out.offset += s * rows[d].offset;
      rows[d].strides.forEach((r, t) => {
        out.strides[t] += s * r;
      });
    });
    return { ...a, ...out };
  };
  const output = order.indexOf(routine.outputs[0]);
  const buffers = [order[output], ...order.filter((_, i) => i !== output)];
  const access = (a: Kernel['loads'][number]): Kernel['loads'][number] => ({
    ...affine(a),
    buffer: buffers.indexOf(order[a.buffer]),
    guards: a.guards.map(affine),
  });
  const contiguous = contiguousStrides(shape);
  const pointwise = (a: Kernel['loads'][number]): boolean =>
    a.guards.length === 0 && a.offset === 0 && a.strides.every((s, d) => s === contiguous[d] || shape[d] === 1);
  const loads = kernel.loads.map(access);
  const stores = kernel.stores.map((s) => ({ ...s, access: access(s.access) }));
  if (!loads.every((a) => a.buffer !== 0 || pointwise(a)) || !stores.every((s) => pointwise(s.access))) return null;
  const body = kernel.body.map((x): Instruction => (x.op === 'index' ? affine(x) : x));
  return { kernel: { ...kernel, domain: [...shape], outerDims: rank, loads, body, stores }, buffers };
}

