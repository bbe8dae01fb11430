import { type ScanShape } from '@mamba-ts/scan';
import { type DeviceCapabilities, type ScanPlanOptions, type Tiling } from './types';
import { forwardWorkgroupBytes } from './wgsl/forward';
import { gradientWorkgroupBytes } from './wgsl/reduction';
import { stateBytes } from './wgsl/state';
import { summaryWorkgroupBytes } from './wgsl/summary';

/** Smallest power of two that is `n` or more. */
export function powerOfTwo(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, n)));
}

/** Invocations of a device's subgroups at least, 0 where kernels can't use them. */
function subgroupSize({ features, adapterInfo }: DeviceCapabilities): number {
  const size = adapterInfo?.subgroupMinSize ?? 0;
  return features.has('subgroups') && Number.isInteger(Math.log2(size)) && size >= 4 ? size : 0;
}

/**
 * Invocations and steps of a workgroup, as large as pays and the limits allow. Four states an invocation: enough
 * arithmetic per step to hide its latency, few enough registers for many workgroups at a time.
 */
export function chooseTiling(shape: ScanShape, options: ScanPlanOptions, device: DeviceCapabilities): Tiling {
  const { limits } = device;
  const { dState, complex, variableB, variableC } = shape;
  const wanted = options.tiling ?? {};
  const backward = options.operation === 'backward';
  const invocations = Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX);
  const steps = powerOfTwo(shape.length);
  const kind = { variableB, variableC, z: options.z === true, resets: options.resets === true };
  let vectors = wanted.vectors ?? 1;
  while (powerOfTwo(Math.ceil(dState / (4 * vectors))) > invocations) vectors *= 2;
  const lanes = powerOfTwo(Math.ceil(dState / (4 * vectors)));
  const bytesPerState = stateBytes({ complex, vectors });
  // In subgroups when a channel's lanes fit in one, with enough channels beside them to halve the numbers often.
  const values = (bytesPerState / 4) * (Number(variableB) + Number(variableC));
  const size = backward && options.subgroups !== false ? subgroupSize(device) : 0;
  let subgroup = lanes <= size && (values * lanes) / size <= 2 ? size : 0;
  const largest = Math.min(
    wanted.channelBlock ?? Math.min(Math.max(1, (backward && subgroup === 0 ? 64 : 128) / lanes), powerOfTwo(shape.channels / shape.groups)),
    Math.floor(invocations / lanes),
  );
  let channelBlock = 2 ** Math.floor(Math.log2(Math.max(1, largest)));
  // a workgroup of whole subgroups, or none
  if (channelBlock * lanes < subgroup) subgroup = 0;
  let tile = wanted.tile ?? Math.min(backward ? 8 : Math.min(8, 4 * lanes), steps);
  let reduceSteps = backward ? Math.min(wanted.reduceSteps ?? 4, tile) : 1;
  const bytes = (): number => {
    const sizes = { lanes, channelBlock, tile, reduceSteps, subgroup };
    const summary = summaryWorkgroupBytes(sizes, bytesPerState, kind);
    const main = backward ? gradientWorkgroupBytes : forwardWorkgroupBytes;
    return Math.max(summary, main(sizes, bytesPerState, kind));
  };
  while (bytes() > limits.maxComputeWorkgroupStorageSize) {
    if (reduceSteps > 1 && subgroup === 0) reduceSteps /= 2;
    else if (tile > 1) tile /= 2;
    else channelBlock /= 2;
    if (channelBlock * lanes < subgroup) subgroup = 0;
    reduceSteps = Math.min(reduceSteps, tile);
  }
  return { vectors, lanes, channelBlock, tile, reduceSteps, subgroup, workgroupBytes: bytes() };
}
