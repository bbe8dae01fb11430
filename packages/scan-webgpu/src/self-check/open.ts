// Devices for checks. The package itself never makes one.
const optionalFeatures = ['shader-f16', 'subgroups', 'timestamp-query'] as const;
const wantedLimits = [
  ...(['maxStorageBuffersPerShaderStage', 'maxStorageBufferBindingSize', 'maxBufferSize'] as const),
  ...(['maxComputeWorkgroupStorageSize', 'maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupSizeX'] as const),
];

export interface OpenedDevice {
  readonly device: GPUDevice;
  readonly adapter: GPUAdapter;
}

/** A device with all limits and features that matter here, or with none but what every device has. */
export async function openDevice(gpu: GPU, kind: 'all' | 'baseline'): Promise<OpenedDevice> {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) throw new Error('WebGPU: no adapter');
  if (kind === 'baseline') return { adapter, device: await adapter.requestDevice() };
  const requiredFeatures = optionalFeatures.filter((feature) => adapter.features.has(feature)) as GPUFeatureName[];
  const requiredLimits = Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name]]));
  return { adapter, device: await adapter.requestDevice({ requiredFeatures, requiredLimits }) };
}
