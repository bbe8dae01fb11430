import type { TensorSpec } from '@mamba-ts/tensor';
import { inputSpec, type WebGpuRoutine } from '../routine';
import { raiseFault } from './fault-code';

const workgroupSize = 64;

/** The expression of element `at` (a u32 name) of a float buffer as stored: float32, or halves two a word. */
export function element(spec: TensorSpec, buffer: string, at: string): string {
  if (spec.dtype === 'float32') return `${buffer}[${at}]`;
  return `from_${spec.dtype}((${buffer}[${at} / 2u] >> ((${at} & 1u) * 16u)) & 0xffffu)`;
}

/** An invocation per element; a bad id raises a fault and gives zeros. */
export const gather: WebGpuRoutine = {
  passes(call, memory) {
    const table = inputSpec(call, 0);
    const [rows, width] = table.shape;
    const [count] = inputSpec(call, 1).shape;
    const total = count * width;
    if (total === 0) return [];
    const source = rows === 0 ? [] : [memory.input(0, 'source', table.dtype === 'float32' ? 'f32' : 'u32')];
    return [
      {
        label: 'wgsl gather',
        bindings: [...source, memory.input(1, 'ids', 'i32'), memory.output(0, 'out', 'f32'), memory.fault('fault')],
        declarations: raiseFault,
        body: `  let at = group * ${workgroupSize}u + lane;
  if (at >= ${total}u) { return; }
  let position = at / ${width}u;
  let id = ids[position];
  if (id < 0i || id >= ${rows}i) {
    raise_fault(1u, id, position, ${rows}u);
    out[at] = 0.0;
    return;
  }
  ${rows === 0 ? '' : `let from_at = u32(id) * ${width}u + at % ${width}u;\n  out[at] = ${element(table, 'source', 'from_at')};`}`,
        workgroupSize,
        workgroups: Math.ceil(total / workgroupSize),
      },
    ];
  },
};
