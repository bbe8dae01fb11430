import type { Pass } from './pass';
import { shaderText } from './pass';

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Pipelines kept; the oldest go first. Programs hold on to theirs. */
const cacheSize = 4096;

/** Compute pipelines by their text: the same kernel in two programs is compiled once. */
export class PipelineCache {
  private readonly pipelines = new Map<string, Pipeline>();
  private readonly layouts = new Map<string, { bindings: GPUBindGroupLayout; pipeline: GPUPipelineLayout }>();
  /** Pipelines compiled so far. */
  compiled = 0;

  constructor(private readonly device: GPUDevice) {}

  get(pass: Pass, readOnly: readonly boolean[]): Pipeline {
    const code = shaderText(pass, readOnly);
    let entry = this.pipelines.get(code);
    if (entry) return entry;
    const layout = this.layout(readOnly);
    const module = this.device.createShaderModule({ code, label: pass.label });
    const pipeline = this.device.createComputePipeline({ label: pass.label, layout: layout.pipeline, compute: { module, entryPoint: 'main' } });
    this.compiled++;
    entry = { pipeline, layout: layout.bindings };
    this.pipelines.set(code, entry);
    if (this.pipelines.size > cacheSize) this.pipelines.delete(this.pipelines.keys().next().value as string);
    return entry;
  }

  private layout(readOnly: readonly boolean[]): { bindings: GPUBindGroupLayout; pipeline: GPUPipelineLayout } {
    const key = readOnly.map((r) => (r ? 'r' : 'w')).join('');
    let layout = this.layouts.get(key);
    if (!layout) {
      const bindings = this.device.createBindGroupLayout({
        entries: readOnly.map((r, binding) => ({ binding, visibility: 0x4, buffer: { type: r ? 'read-only-storage' : 'storage' } })),
      });
      layout = { bindings, pipeline: this.device.createPipelineLayout({ bindGroupLayouts: [bindings] }) };
      this.layouts.set(key, layout);
    }
    return layout;
  }
}
