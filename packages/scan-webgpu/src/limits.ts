// What a device allows, as far as plans depend on it.

/** The part of a device's limits and features that {@link planScan} looks at. */
export interface ScanLimits {
  readonly maxStorageBuffersPerShaderStage: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly maxComputeWorkgroupsPerDimension: number;
  /** Also along one dimension (maxComputeWorkgroupSizeX). */
  readonly maxComputeInvocationsPerWorkgroup: number;
  readonly maxComputeWorkgroupStorageSize: number;
  /** Arrays of f16 (`shader-f16`). */
  readonly f16: boolean;
  /** Invocations of a subgroup where subgroups are usable and all of one size, else 0. */
  readonly subgroupSize: number;
  /** The adapter is a program, which takes long to compile long kernels: they are printed as loops. */
  readonly software: boolean;
}

/** What every WebGPU device has. */
export const baselineLimits: ScanLimits = {
  maxStorageBuffersPerShaderStage: 8,
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupsPerDimension: 65535,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16384,
  f16: false,
  subgroupSize: 0,
  software: false,
};

/** Limits and features with which a device was made. */
export function deviceLimits(device: GPUDevice): ScanLimits {
  const { limits, features } = device;
  const info = device.adapterInfo as GPUAdapterInfo | undefined;
  const [least = 0, most = 0] = [info?.subgroupMinSize, info?.subgroupMaxSize];
  return {
    maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
    maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
    maxBufferSize: limits.maxBufferSize,
    maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    maxComputeInvocationsPerWorkgroup: Math.min(
      limits.maxComputeInvocationsPerWorkgroup,
      limits.maxComputeWorkgroupSizeX,
    ),
    maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    f16: features.has('shader-f16'),
    subgroupSize: features.has('subgroups') && least === most ? most : 0,
    software: info?.isFallbackAdapter === true,
  };
}
