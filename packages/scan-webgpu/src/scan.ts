import { ScanGpuError } from './errors';
import { type ScanKernel, type ScanPlan, type TensorName } from './types';

/** A whole GPUBuffer, or a part of one. */
export type ScanBinding = GPUBuffer | { readonly buffer: GPUBuffer; readonly offset?: number; readonly size?: number };

/** Buffers by name: those of `plan.tensors`, and `scratch` where the plan needs it. */
export type ScanBuffers = { readonly [name in TensorName | 'scratch']?: ScanBinding };

/** A scan with its buffers: `encode` creates nothing, so that a step can be recorded or replayed in a hot loop. */
export interface BoundScan {
  /** Adds the dispatches to a compute pass, or to a pass of its own on a command encoder. */
  encode(target: GPUComputePassEncoder | GPUCommandEncoder): void;
}

/** Compiled kernels of a plan. */
export interface CompiledScan {
  readonly plan: ScanPlan;
  /**
   * Checks the buffers and makes the bind groups. Throws a ScanGpuError that names a buffer which is missing, too
   * small, misaligned, not for storage, or both read and written.
   */
  bind(buffers: ScanBuffers): BoundScan;
  /** Frees the parameter block. Pipelines are shared between scans and live as long as the device. */
  destroy(): void;
}

// GPUBufferUsage and GPUShaderStage are globals of browsers only
const usage = { storage: 0x80, uniform: 0x40 };
const computeStage = 4;

interface Pipeline {
  readonly layout: GPUBindGroupLayout;
  readonly pipeline: GPUComputePipeline;
}

interface DeviceCache {
  readonly pipelines: Map<string, Pipeline>;
  readonly pending: Map<string, Promise<Pipeline>>;
}

const caches = new WeakMap<GPUDevice, DeviceCache>();

function cacheOf(device: GPUDevice): DeviceCache {
  let cache = caches.get(device);
  if (cache === undefined) caches.set(device, (cache = { pipelines: new Map(), pending: new Map() }));
  return cache;
}

function describePipeline(device: GPUDevice, kernel: ScanKernel): { layout: GPUBindGroupLayout; descriptor: GPUComputePipelineDescriptor } {
  const layout = device.createBindGroupLayout({
    label: kernel.label,
    entries: [
      { binding: 0, visibility: computeStage, buffer: { type: 'uniform' } },
      ...kernel.buffers.map(({ writable }, index) => ({
        binding: index + 1,
        visibility: computeStage,
        buffer: { type: writable ? ('storage' as const) : ('read-only-storage' as const) },
      })),
    ],
  });
  const module = device.createShaderModule({ label: kernel.label, code: kernel.code });
  const descriptor: GPUComputePipelineDescriptor = {
    label: `scan ${kernel.label}`,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: 'main' },
  };
  return { layout, descriptor };
}

/**
 * Compiles a plan's kernels for a device; those that the device already has are reused. Errors in compilation reach
 * the device's error scopes, as with every synchronous call of WebGPU; {@link compileScanAsync} throws them.
 */
export function compileScan(device: GPUDevice, plan: ScanPlan): CompiledScan {
  const { pipelines } = cacheOf(device);
  const compiled = plan.kernels.map((kernel) => {
    const known = pipelines.get(kernel.code);
    if (known !== undefined) return known;
    const { layout, descriptor } = describePipeline(device, kernel);
    const pipeline = { layout, pipeline: device.createComputePipeline(descriptor) };
    pipelines.set(kernel.code, pipeline);
    return pipeline;
  });
  return makeScan(device, plan, compiled);
}

/** As {@link compileScan}, off the calling thread. Throws a ScanGpuError with the compiler's text where one fails. */
export async function compileScanAsync(device: GPUDevice, plan: ScanPlan): Promise<CompiledScan> {
  const { pipelines, pending } = cacheOf(device);
  const compile = async (kernel: ScanKernel): Promise<Pipeline> => {
    try {
      const { layout, descriptor } = describePipeline(device, kernel);
      const pipeline = { layout, pipeline: await device.createComputePipelineAsync(descriptor) };
      pipelines.set(kernel.code, pipeline);
      return pipeline;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new ScanGpuError('compile', kernel.label, `${kernel.label} did not compile: ${text}`);
    } finally {
      pending.delete(kernel.code);
    }
  };
  const compiled = plan.kernels.map((kernel) => {
    const known = pipelines.get(kernel.code) ?? pending.get(kernel.code);
    if (known !== undefined) return known;
    const started = compile(kernel);
    pending.set(kernel.code, started);
    return started;
  });
  return makeScan(device, plan, await Promise.all(compiled));
}

interface Part {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

function partOf(binding: ScanBinding): Part {
  if (!('buffer' in binding)) return { buffer: binding, offset: 0, size: binding.size };
  const { buffer, offset = 0 } = binding;
  return { buffer, offset, size: binding.size ?? buffer.size - offset };
}

function checkBuffers(plan: ScanPlan, buffers: ScanBuffers): Map<string, Part> {
  const fail = (name: string, text: string): never => {
    throw new ScanGpuError('buffer', name, `buffer ${name} ${text}`);
  };
  const scratch = { name: 'scratch' as const, bytes: plan.scratchBytes, writable: true };
  const wanted = [...plan.tensors, ...(plan.scratchBytes > 0 ? [scratch] : [])];
  const unknown = Object.keys(buffers).find(
    (name) => buffers[name as TensorName] !== undefined && name !== 'scratch' && !wanted.some((tensor) => tensor.name === name),
  );
  if (unknown !== undefined) fail(unknown, `is not one of this ${plan.options.operation} plan, expected ${wanted.map(({ name }) => name).join(', ')}`);
  const parts = new Map<string, Part>();
  for (const { name, bytes, writable } of wanted) {
    const binding = buffers[name];
    if (binding === undefined) throw new ScanGpuError('buffer', name, `buffer ${name} is missing, expected one of ${bytes} bytes or more`);
    const part = partOf(binding);
    if (part.size < bytes || part.offset + part.size > part.buffer.size) {
      fail(name, `has ${Math.min(part.size, part.buffer.size - part.offset)} bytes, expected ${bytes} or more`);
    }
    if (part.offset % plan.offsetAlignment !== 0) {
      fail(name, `has offset ${part.offset}, expected a multiple of ${plan.offsetAlignment}`);
    }
    if ((part.buffer.usage & usage.storage) === 0) fail(name, `has usage ${part.buffer.usage}, expected STORAGE in it`);
    const tight = { ...part, size: bytes };
    for (const [other, there] of parts) {
      if (there.buffer !== tight.buffer) continue;
      const otherWritable = other === 'scratch' || plan.tensors.some((tensor) => tensor.name === other && tensor.writable);
      const overlaps = there.offset < tight.offset + tight.size && tight.offset < there.offset + there.size;
      const shared = plan.options.sharedBuffers === true;
      if (shared ? overlaps : writable !== otherWritable || (writable && overlaps)) {
        fail(name, shared || overlaps ? `overlaps buffer ${other}` : `is the same GPUBuffer as ${other}, which only one of them writes (see sharedBuffers)`);
      }
    }
    parts.set(name, tight);
  }
  return parts;
}

function makeScan(device: GPUDevice, plan: ScanPlan, compiled: readonly Pipeline[]): CompiledScan {
  const params = device.createBuffer({
    label: 'scan parameters',
    size: plan.params.byteLength,
    usage: usage.uniform,
    mappedAtCreation: true,
  });
  new Uint32Array(params.getMappedRange()).set(plan.params);
  params.unmap();
  return {
    plan,
    bind(buffers: ScanBuffers): BoundScan {
      const parts = checkBuffers(plan, buffers);
      const dispatches = plan.kernels.map((kernel, index) => ({
        pipeline: compiled[index].pipeline,
        group: device.createBindGroup({
          label: kernel.label,
          layout: compiled[index].layout,
          entries: [
            { binding: 0, resource: { buffer: params } },
            ...kernel.buffers.map(({ name }, at) => ({ binding: at + 1, resource: parts.get(name) as Part })),
          ],
        }),
        x: kernel.workgroups[0],
        y: kernel.workgroups[1],
      }));
      const dispatch = (pass: GPUComputePassEncoder): void => {
        for (const { pipeline, group, x, y } of dispatches) {
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(x, y);
        }
      };
      return {
        encode(target: GPUComputePassEncoder | GPUCommandEncoder): void {
          if ('dispatchWorkgroups' in target) {
            dispatch(target);
            return;
          }
          const pass = target.beginComputePass();
          dispatch(pass);
          pass.end();
        },
      };
    },
    destroy(): void {
      params.destroy();
    },
  };
}
