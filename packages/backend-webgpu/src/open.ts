import { Device, DeviceError } from '@mamba-ts/tensor';
import { WebGpuBackend } from './backend';

export interface WebGpuOptions {
  /** A device to use as it is; it is not destroyed with the tensors' device. Everything else is ignored then. */
  readonly device?: GPUDevice;
  /** The adapter to ask for a device; the first one that fits `powerPreference` if absent. */
  readonly adapter?: GPUAdapter;
  readonly powerPreference?: GPUPowerPreference;
}

/** Features that are used where the adapter has them. */
const usefulFeatures: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'];

/** Limits that are asked for as large as the adapter has them. */
const usefulLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

/**
 * Dawn's instance in Node. It must outlive every adapter and device made from it: when it is collected first, the process dies. So it is kept
 * for good.
 */
let nodeInstance: GPU | null = null;

async function gpu(): Promise<GPU> {
  const host = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
  if (host) return host;
  if (nodeInstance) return nodeInstance;
  let dawn: { create(options: string[]): GPU };
  try {
    dawn = (await import(/* @vite-ignore */ 'webgpu')) as unknown as typeof dawn;
  } catch (error) {
    throw new DeviceError('webgpu: this host has no navigator.gpu; in Node install the package `webgpu` (npm install webgpu)', { cause: error });
  }
  // Timestamps are rounded to 65 microseconds to protect browsers' users from each other's pages; a profile needs them as they are.
  return (nodeInstance = dawn.create(['disable-dawn-features=timestamp_quantization']));
}

/**
 * WebGPU as a device: in browsers `navigator.gpu`, in Node the optional peer `webgpu` (Dawn).
 * @throws DeviceError where there is no WebGPU, no adapter, or no device
 */
export async function webgpu(options: WebGpuOptions = {}): Promise<Device> {
  if (options.device) return new Device(new WebGpuBackend(options.device, options.adapter?.info ?? options.device.adapterInfo, false));
  const { powerPreference = 'high-performance' } = options;
  const adapter = options.adapter ?? (await (await gpu()).requestAdapter({ powerPreference }));
  if (!adapter) {
    throw new DeviceError('webgpu: no adapter: the host has no GPU driver that WebGPU can use (on Linux a Vulkan driver; VK_DRIVER_FILES may name one)');
  }
  const requiredLimits: Record<string, number> = {};
  for (const name of usefulLimits) requiredLimits[name] = adapter.limits[name];
  const requiredFeatures = usefulFeatures.filter((name) => adapter.features.has(name));
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({ requiredLimits, requiredFeatures });
  } catch (error) {
    throw new DeviceError(`webgpu: the adapter gave no device: ${String(error)}`, { cause: error });
  }
  return new Device(new WebGpuBackend(device, adapter.info, true));
}
