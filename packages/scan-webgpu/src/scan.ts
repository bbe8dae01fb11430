// Plans on a device: pipelines made once, bind groups made once per set of buffers, passes that only dispatch.
import { ScanShapeError } from '@mamba-ts/scan';
import { type ScanArray, arrayBytes } from './arrays';
import type { ScanPlan } from './plan';
import type { PlannedKernel } from './plan-builder';
import { kernelSource } from './wgsl/index';
import { type KernelOptions, boundArrays, isReadOnly, uniformFields, usesScratch } from './wgsl/module';

/** A buffer, or a part of one that begins at a multiple of 256 bytes. */
export type ScanBinding = GPUBuffer | GPUBufferBinding;

/**
 * Buffers of a scan, named and shaped as in `ScanInputs`; `resets` are int32. u, delta, z, y, variable B and C and their
 * gradients have the plan's dtype, everything else is float32. All need the usage STORAGE. `plan.arrays` lists those that
 * a launch needs, besides `scratch` where `plan.scratchBytes` is not 0.
 */
export type ScanBuffers = { readonly [K in ScanArray | 'scratch']?: ScanBinding };

interface CachedPipeline {
  readonly layout: GPUBindGroupLayout;
  readonly pipeline: GPUComputePipeline;
}

/** The scan's kernels on one device: pipelines are shared by all plans that need the same code. */
export class WebGpuScan {
  private readonly layouts = new Map<string, GPUBindGroupLayout>();
  private readonly descriptors = new Map<string, GPUComputePipelineDescriptor>();
  private readonly pipelines = new Map<string, CachedPipeline>();
  private readonly pending = new Map<string, Promise<CachedPipeline>>();

  constructor(private readonly device: GPUDevice) {}

  /** Makes what a plan needs on the device. Errors in shaders reach the device's error scopes, as WebGPU has it. */
  prepare(plan: ScanPlan): PreparedScan {
    const pipelines = plan.kernels.map(({ options }): CachedPipeline => {
      const { code, layout, descriptor } = this.describe(options);
      const known = this.pipelines.get(code) ?? { layout, pipeline: this.device.createComputePipeline(descriptor) };
      this.pipelines.set(code, known);
      return known;
    });
    return new PreparedScan(this.device, plan, pipelines);
  }

  /** As `prepare`, without holding up the caller while shaders compile. Rejects with a GPUPipelineError. */
  async prepareAsync(plan: ScanPlan): Promise<PreparedScan> {
    const compile = async (options: KernelOptions): Promise<CachedPipeline> => {
      const { code, layout, descriptor } = this.describe(options);
      const known = this.pipelines.get(code);
      if (known !== undefined) return known;
      const made = { layout, pipeline: await this.device.createComputePipelineAsync(descriptor) };
      this.pipelines.set(code, made);
      return made;
    };
    const wanted = plan.kernels.map(({ options }) => {
      const code = kernelSource(options);
      const promise = this.pending.get(code) ?? compile(options).finally(() => this.pending.delete(code));
      this.pending.set(code, promise);
      return promise;
    });
    return new PreparedScan(this.device, plan, await Promise.all(wanted));
  }

  private describe(options: KernelOptions): {
    code: string;
    layout: GPUBindGroupLayout;
    descriptor: GPUComputePipelineDescriptor;
  } {
    const code = kernelSource(options);
    const layout = this.layoutOf(options);
    const known = this.descriptors.get(code);
    if (known !== undefined) return { code, layout, descriptor: known };
    const label = `mamba-ts scan ${options.kind}`;
    const descriptor: GPUComputePipelineDescriptor = {
      label,
      layout: this.device.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
      compute: { module: this.device.createShaderModule({ label, code }), entryPoint: 'main' },
    };
    this.descriptors.set(code, descriptor);
    return { code, layout, descriptor };
  }

  private layoutOf(options: KernelOptions): GPUBindGroupLayout {
    const types: GPUBufferBindingType[] = boundArrays(options).map((array) =>
      isReadOnly(options, array) ? 'read-only-storage' : 'storage',
    );
    if (usesScratch(options)) types.push('storage');
    types.push('uniform');
    const key = types.join();
    const known = this.layouts.get(key);
    if (known !== undefined) return known;
    const entries = types.map((type, binding): GPUBindGroupLayoutEntry => ({
      binding,
      visibility: 4 /* GPUShaderStage.COMPUTE */,
      buffer: { type },
    }));
    const layout = this.device.createBindGroupLayout({ label: 'mamba-ts scan', entries });
    this.layouts.set(key, layout);
    return layout;
  }
}

/** A plan that is ready on a device, for any number of buffers. */
export class PreparedScan {
  private readonly uniforms: GPUBuffer;
  private readonly offsets: readonly number[];

  /** Made by {@link WebGpuScan.prepare}. */
  constructor(
    private readonly device: GPUDevice,
    readonly plan: ScanPlan,
    private readonly pipelines: readonly CachedPipeline[],
  ) {
    const align = device.limits.minUniformBufferOffsetAlignment;
    let size = 0;
    this.offsets = plan.kernels.map(({ options }) => {
      const at = size;
      size += Math.ceil((uniformFields(options).length * 4) / align) * align;
      return at;
    });
    this.uniforms = device.createBuffer({
      label: 'mamba-ts scan sizes',
      size,
      usage: 0x40 /* GPUBufferUsage.UNIFORM */,
      mappedAtCreation: true,
    });
    const words = new Uint32Array(this.uniforms.getMappedRange());
    plan.kernels.forEach(({ options, sizes }, index) => {
      uniformFields(options).forEach((field, i) => (words[this.offsets[index] / 4 + i] = sizes[field] ?? 0));
    });
    this.uniforms.unmap();
  }

  /**
   * Binds buffers for good: what comes back only dispatches. Throws a ScanShapeError where a buffer is missing, too small
   * or badly aligned.
   */
  bind(buffers: ScanBuffers): BoundScan {
    const ranges = this.rangesOf(buffers);
    const dispatches = this.plan.kernels.map((kernel, index): BoundDispatch => {
      const { layout, pipeline } = this.pipelines[index];
      const resources: GPUBufferBinding[] = boundArrays(kernel.options).map(({ name }) => ranges.get(name)!);
      if (usesScratch(kernel.options)) resources.push(ranges.get('scratch')!);
      resources.push({
        buffer: this.uniforms,
        offset: this.offsets[index],
        size: uniformFields(kernel.options).length * 4,
      });
      const entries = resources.map((resource, binding): GPUBindGroupEntry => ({ binding, resource }));
      return {
        kernel,
        pipeline,
        group: this.device.createBindGroup({ label: `mamba-ts scan ${kernel.options.kind}`, layout, entries }),
      };
    });
    return new BoundScan(this.plan, dispatches);
  }

  /** Binds, encodes and submits, for programs that run a scan now and then. */
  launch(buffers: ScanBuffers): void {
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    this.bind(buffers).encode(pass);
    pass.end();
    this.device.queue.submit([encoder.finish()]);
  }

  /** Gives its few bytes of device memory back. Bound scans must not be submitted any more. */
  destroy(): void {
    this.uniforms.destroy();
  }

  private rangesOf(buffers: ScanBuffers): Map<string, GPUBufferBinding> {
    const { plan, device } = this;
    const { shape, dtype, scratchBytes } = plan;
    const refuse = (name: string, expected: string, got: string): never => {
      throw new ScanShapeError(`PreparedScan.bind (${plan.pass})`, name, expected, got);
    };
    const ranges = new Map<string, GPUBufferBinding>();
    const wanted = plan.arrays.map((name) => [name, arrayBytes(shape, dtype, name)] as [keyof ScanBuffers, number]);
    if (scratchBytes > 0) wanted.push(['scratch', scratchBytes]);
    for (const [name, size] of wanted) {
      const given = buffers[name] ?? refuse(name, 'a GPUBuffer or a part of one', 'no value');
      const { buffer, offset = 0, size: room } = 'buffer' in given ? given : ({ buffer: given } as GPUBufferBinding);
      const align = device.limits.minStorageBufferOffsetAlignment;
      if (offset % align !== 0) refuse(name, `an offset that is a multiple of ${align}`, `offset ${offset}`);
      const bytes = room ?? buffer.size - offset;
      if (bytes < size) refuse(name, `at least ${size} bytes`, `${bytes} bytes`);
      ranges.set(name, { buffer, offset, size });
    }
    return ranges;
  }
}

interface BoundDispatch {
  readonly kernel: PlannedKernel;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
}

/** A scan on certain buffers. */
export class BoundScan {
  /** Made by {@link PreparedScan.bind}. */
  constructor(
    readonly plan: ScanPlan,
    private readonly dispatches: readonly BoundDispatch[],
  ) {}

  /** Adds the scan's dispatches to a pass, in which they run in order. Allocates nothing; may be repeated. */
  encode(pass: GPUComputePassEncoder): void {
    for (const { kernel, pipeline, group } of this.dispatches) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(kernel.grid[0], kernel.grid[1]);
    }
  }
}

/** Bytes of one array of a plan's scan, as {@link ScanBuffers} has it. */
export function scanBytes(plan: ScanPlan, name: ScanArray): number {
  return arrayBytes(plan.shape, plan.dtype, name);
}
