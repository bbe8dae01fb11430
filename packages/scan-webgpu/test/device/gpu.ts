// A GPU wherever the tests run: the browser's, or Dawn's (the optional peer `webgpu`) in Node.

/** Where Debian's chromium keeps its software adapter, for Dawn's Vulkan loader. */
const swiftShader = '/usr/lib/chromium/vk_swiftshader_icd.json';

let held: GPU | undefined; // Dawn ends with this object; adapters and devices don't keep it

async function openGpu(): Promise<GPU | undefined> {
  const browser = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
  if (browser !== undefined) return browser;
  const node = (globalThis as { process?: NodeJS.Process }).process;
  if (node?.versions?.node === undefined) return undefined;
  if (node.env.VK_DRIVER_FILES === undefined && node.getBuiltinModule('node:fs').existsSync(swiftShader)) {
    Object.assign(node.env, { VK_DRIVER_FILES: swiftShader, VK_ICD_FILENAMES: swiftShader });
  }
  node.env.XDG_RUNTIME_DIR ??= node.getBuiltinModule('node:os').tmpdir();
  const name = 'webgpu';
  const { create } = (await import(/* @vite-ignore */ name)) as { create(options: string[]): GPU };
  // timestamps in full resolution, for measurements
  held ??= create(['disable-dawn-features=timestamp_quantization']);
  return held;
}

export interface DeviceWish {
  /** Ask for the device's limits instead of the baseline's. */
  readonly best?: boolean;
}

/** A device with the baseline's limits or the adapter's, and the features that the package can use. */
export async function openDevice({ best = false }: DeviceWish = {}): Promise<GPUDevice> {
  const gpu = await openGpu();
  if (gpu === undefined) throw new Error('no WebGPU here: neither navigator.gpu nor the package webgpu');
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) throw new Error('no WebGPU adapter: no driver, and no SwiftShader of chromium');
  const features = (['shader-f16', 'subgroups', 'timestamp-query'] as const).filter((name) => adapter.features.has(name));
  const { limits } = adapter;
  const requiredLimits = best
    ? {
        maxBufferSize: limits.maxBufferSize,
        maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
        maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
        maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
        maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
        maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
      }
    : {};
  return adapter.requestDevice({ requiredFeatures: features, requiredLimits });
}

const inCi = (globalThis as { process?: NodeJS.Process }).process?.env?.CI;

/**
 * Why tests on a device are left out, or undefined where they run: with CI set they always run, and fail where there
 * is no device.
 */
export async function missingDevice(): Promise<string | undefined> {
  try {
    (await openDevice()).destroy();
    return undefined;
  } catch (error) {
    if (inCi !== undefined && inCi !== '' && inCi !== 'false') return undefined;
    return error instanceof Error ? error.message : String(error);
  }
}
