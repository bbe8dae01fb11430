import { type Affine, mergeGuards } from './index-map';
import type { Instruction, Kernel } from './kernel';
import type { Buffer, KernelBuilder } from './kernel-builder';

/** The finished kernel: loops of size 1 and guards that always hold dropped, neighbours that every access walks as one merged. */
export function finishKernel(builder: KernelBuilder): { kernel: Kernel; buffers: Buffer[] } {
  const { body, epilogue } = builder.finish();
  for (const load of builder.loads) load.guards = mergeGuards(load.guards, builder.domain);
  const affines: Affine[] = [...builder.loads, ...builder.stores.map((s) => s.access)].flatMap((a) => [a as Affine, ...a.guards]);
  for (const x of [...body, ...epilogue]) if (x.op === 'index') affines.push(x as unknown as Affine);

  // Loops of the result: each is a run [first, last] of original loops; its stride is that of the last one.
  const runs: { first: number; last: number; size: number }[] = [];
  let outerDims = 0;
  builder.domain.forEach((size, d) => {
    if (size === 1) return;
    const previous = runs[runs.length - 1];
    const sameSide = previous !== undefined && previous.last < builder.outerDims === d < builder.outerDims;
    if (previous && sameSide && affines.every((a) => a.strides[previous.last] === a.strides[d] * size)) {
      previous.last = d;
      previous.size *= size;
      return;
    }
    runs.push({ first: d, last: d, size });
    if (d < builder.outerDims) outerDims = runs.length;
  });

  const strides = (a: Affine): number[] => runs.map((r) => a.strides[r.last]);
  const buffers: Buffer[] = [];
  const access = (a: KernelBuilder['loads'][number]): Kernel['loads'][number] => {
    let buffer = buffers.indexOf(a.buffer);
    if (buffer < 0) buffer = buffers.push(a.buffer) - 1;
    const guards = a.guards.map((g) => ({ offset: g.offset, strides: strides(g), size: g.size }));
    return { buffer, dtype: a.buffer.dtype, offset: a.offset, strides: strides(a), guards };
  };
  const fix = (list: Instruction[]): Instruction[] => list.map((x) => (x.op === 'index' ? { ...x, strides: strides(x as unknown as Affine) } : x));
  const phase = builder.reduces.length > 0 ? 'epilogue' : 'body';
  const kernel: Kernel = {
    domain: runs.map((r) => r.size),
    outerDims,
    loads: builder.loads.map(access),
    body: fix(body),
    reduces: builder.reduces.map((r) => ({ ...r })),
    epilogue: fix(epilogue),
    stores: builder.stores.map((s) => ({ access: access(s.access), value: s.value, phase })),
  };
  return { kernel, buffers };
}
