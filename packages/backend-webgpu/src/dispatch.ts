/** Work with memory: what a replay goes through. */
export type BoundDispatch = { readonly step: number } & (
  | { readonly native: { encode(pass: GPUComputePassEncoder): void } }
  | { readonly native: null; readonly pipeline: GPUComputePipeline; readonly group: GPUBindGroup; readonly x: number; readonly y: number }
);

/** Encodes dispatches [from, to) of a list. */
export function encode(pass: GPUComputePassEncoder, bound: readonly BoundDispatch[], from: number, to: number): void {
  let last: GPUComputePipeline | null = null;
  for (let i = from; i < to; i++) {
    const d = bound[i];
    if (d.native) {
      d.native.encode(pass);
      last = null;
      continue;
    }
    if (d.pipeline !== last) pass.setPipeline(d.pipeline);
    last = d.pipeline;
    pass.setBindGroup(0, d.group);
    pass.dispatchWorkgroups(d.x, d.y);
  }
}
