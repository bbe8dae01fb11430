import { type ScanShape, checkScanShape, stateWidth } from '@mamba-ts/scan';
import { ScanGpuError } from './errors';
import { type DeviceCapabilities, type ScanKernel, type ScanPlan, type ScanPlanOptions, type TensorName } from './types';
import { type Chunking, chooseChunks, defaultParallelism } from './chunking';
import { type PackableName, layoutScratch } from './scratch';
import { halfTensors, largestBinding, planTensors, tensorElements } from './tensors';
import { chooseTiling } from './tiling';
import { finishElements, finishKernel, packKernel, partialSumKernel } from './wgsl/finish';
import { forwardKernel } from './wgsl/forward';
import { gradientKernel } from './wgsl/gradient';
import { writeParams } from './wgsl/params';
import { carryKernel, elementwiseSize, summaryKernel } from './wgsl/summary';
import { type Variant } from './wgsl/variant';

/** Inputs that may be copied to the scratch buffer when a kernel would bind too many, smallest first. */
const packOrder: readonly PackableName[] = ['A', 'D', 'deltaBias', 'resets', 'initialState', 'B', 'C'];

type KernelCode = Pick<ScanKernel, 'label' | 'code' | 'buffers'>;

function checkOptions(shape: ScanShape, options: ScanPlanOptions, device: DeviceCapabilities): void {
  const fail = (argument: string, expected: string, value: unknown): never => {
    throw new ScanGpuError('option', argument, `${argument} is ${String(value)}, expected ${expected}`);
  };
  checkScanShape(shape, 'planScan');
  const { operation, storage, chunkLength, parallelism, tiling } = options;
  if (!['forward', 'backward', 'step'].includes(operation)) fail('operation', 'forward, backward or step', operation);
  if (operation === 'step' && shape.length !== 1) fail('shape.length', '1 (one step)', shape.length);
  if (operation === 'step' && (options.initialState || options.lastState)) {
    fail('options', 'no initialState and no lastState for a step, whose buffer state is both', 'with one of them');
  }
  if (storage !== undefined && storage !== 'float32' && storage !== 'float16') {
    fail('storage', 'float32 or float16', storage);
  }
  if (storage === 'float16' && !device.features.has('shader-f16')) {
    throw new ScanGpuError('feature', 'storage', 'storage float16 needs a device with the feature shader-f16');
  }
  for (const [name, value] of Object.entries({ chunkLength, parallelism })) {
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1)) fail(name, 'an integer of at least 1', value);
  }
  for (const [name, value] of Object.entries(tiling ?? {})) {
    const fits = Number.isSafeInteger(value) && value >= 1 && value <= 256 && Number.isInteger(Math.log2(value));
    if (!fits) fail(`tiling.${name}`, 'a power of two, at most 256', value);
  }
}

/** Workgroups that one kernel dispatches, over two dimensions. */
function foldWorkgroups(count: number, { limits }: DeviceCapabilities, label: string): readonly [number, number] {
  const most = limits.maxComputeWorkgroupsPerDimension;
  const x = Math.min(count, most);
  const y = Math.ceil(count / x);
  if (y > most) {
    throw new ScanGpuError('limit', 'shape', `${label} needs ${count} workgroups, expected at most ${most * most}`);
  }
  return [x, y];
}

/**
 * Picks kernels, sizes and chunking of one scan for a device (a GPUDevice, or an adapter's limits and features). Pure:
 * nothing is created. Throws a ScanShapeError for a bad shape and a ScanGpuError for options or sizes that can't be.
 */
export function planScan(device: DeviceCapabilities, shape: ScanShape, options: ScanPlanOptions): ScanPlan {
  checkOptions(shape, options, device);
  const tensors = planTensors(shape, options, device);
  const tiling = chooseTiling(shape, options, device);
  const backward = options.operation === 'backward';
  const largest = largestBinding(device);
  const first = chooseChunks(shape, options, tiling);
  let plan = build(device, shape, options, tiling, first);
  // longer chunks take less scratch
  while (plan.bytes > largest && plan.chunking.chunks > 1) {
    const longer = chooseChunks(shape, { ...options, chunkLength: 2 * plan.chunking.chunkLength }, tiling);
    if (longer.chunkLength === plan.chunking.chunkLength) break;
    plan = build(device, shape, options, tiling, { ...longer, reason: `${first.reason}; longer chunks, for less scratch` });
  }
  if (plan.bytes > largest) {
    const text = `scratch takes ${plan.bytes} bytes, expected at most ${largest}, the largest binding of this device`;
    throw new ScanGpuError('limit', 'scratch', text);
  }
  const { kernels, params, bytes, chunking, packed } = plan;
  const { lanes, channelBlock, tile, vectors, workgroupBytes, reduceSteps, subgroup } = tiling;
  const explanation = [
    `${options.operation}: ${chunking.reason}`,
    `${chunking.chunks} chunk${chunking.chunks === 1 ? '' : 's'} of ${chunking.chunkLength} steps`,
    `workgroups of ${channelBlock} channels x ${lanes} lanes of ${4 * vectors} states, tiles of ${tile} steps` +
      `${backward ? (subgroup > 0 ? `, sums in subgroups of ${subgroup}` : `, sums every ${reduceSteps}`) : ''} (${workgroupBytes} bytes of workgroup memory)`,
    packed.length > 0 ? `${packed.join(', ')} packed into scratch, since a kernel binds ${device.limits.maxStorageBuffersPerShaderStage} buffers at most` : '',
    `${kernels.length} dispatch${kernels.length === 1 ? '' : 'es'}: ${kernels.map(({ label }) => label).join('; ')}`,
    `${bytes} bytes of scratch`,
  ];
  return {
    ...{ shape, options, tensors, tiling, kernels, params },
    scratchBytes: bytes,
    chunks: chunking.chunks,
    chunkLength: chunking.chunkLength,
    offsetAlignment: device.limits.minStorageBufferOffsetAlignment,
    explanation: explanation.filter((part) => part !== '').join('. '),
  };
}

interface Built {
  readonly chunking: Chunking;
  readonly kernels: ScanKernel[];
  readonly params: Uint32Array<ArrayBuffer>;
  readonly bytes: number;
  readonly packed: readonly TensorName[];
}

function build(
  device: DeviceCapabilities,
  shape: ScanShape,
  options: ScanPlanOptions,
  tiling: ScanPlan['tiling'],
  chunking: Chunking,
): Built {
  const { D = false, z = false, deltaBias = false, initialState = false, lastState = false, resets = false } = options;
  const backward = options.operation === 'backward';
  const { batch, channels, groups, dState, complex, variableB, variableC } = shape;
  const { chunks, chunkLength } = chunking;
  const groupBlocks = Math.ceil(channels / groups / tiling.channelBlock);
  const slots = backward ? chooseSlots(shape, options, tiling, chunks, groupBlocks) : 1;
  const variant: Variant = {
    ...tiling,
    ...{ complex, dState, variableB, variableC, D, z, deltaBias, initialState, lastState, resets },
    deltaSoftplus: options.deltaSoftplus ?? false,
    half: options.storage === 'float16',
    halves: halfTensors(shape, options),
    sharedBuffers: options.sharedBuffers ?? false,
    step: options.operation === 'step',
    chunked: chunks > 1,
    chunkTiles: Math.ceil(chunkLength / tiling.tile),
    packed: new Set(),
  };
  const twoRounds = backward && batch * chunks > 64;
  const kernelsOf = (v: Variant): KernelCode[] => {
    if (!backward) return chunks > 1 ? [summaryKernel(v, false), carryKernel(v, false), forwardKernel(v)] : [forwardKernel(v)];
    const sums = twoRounds ? [partialSumKernel(v)] : [];
    return [summaryKernel(v, true), carryKernel(v, true), gradientKernel(v), ...sums, finishKernel(v, twoRounds)];
  };
  // Pack as few inputs as it takes for every kernel to bind its buffers.
  const most = device.limits.maxStorageBuffersPerShaderStage;
  const packed: PackableName[] = [];
  let codes = kernelsOf(variant);
  const tooMany = (): KernelCode | undefined => codes.find(({ buffers }) => buffers.length > most);
  for (;;) {
    const bound = tooMany()?.buffers.map((buffer) => buffer.name);
    const name = packOrder.find((candidate) => !packed.includes(candidate) && bound?.includes(candidate));
    if (name === undefined) break;
    packed.push(name);
    codes = kernelsOf({ ...variant, packed: new Set(packed) });
  }
  const crowded = tooMany();
  if (crowded !== undefined) {
    const text = `${crowded.label} binds ${crowded.buffers.length} storage buffers, this device ${most} at most`;
    throw new ScanGpuError('limit', 'maxStorageBuffersPerShaderStage', text);
  }
  const { params, elements } = layoutScratch({
    ...{ shape, backward, D, deltaBias, chunks, chunkLength, slots, packed },
    channelBlock: tiling.channelBlock,
  });
  const packOffsets = { A: 'packA', B: 'packB', C: 'packC', D: 'packD', deltaBias: 'packDeltaBias' } as const;
  const offsets = { ...packOffsets, initialState: 'packInitialState', resets: 'packResets' } as const;
  if (packed.length > 0) {
    const inputs = packed.map((name) => ({ name, elements: tensorElements(shape, name), offset: params[offsets[name]] }));
    codes = [packKernel(variant, inputs), ...codes];
  }
  const coefficients = channels * dState;
  const rows = batch * shape.length * groups * dState * stateWidth(shape);
  const elementwise = (count: number): number => Math.ceil(count / elementwiseSize);
  const counts: Record<string, number> = {
    pack: elementwise(packed.reduce((sum, name) => sum + tensorElements(shape, name), 0)),
    summary: groups * groupBlocks * chunks * batch,
    carry: elementwise(batch * coefficients),
    forward: groups * groupBlocks * chunks * batch,
    step: groups * groupBlocks * batch,
    gradients: groups * slots * chunks * batch,
    sums: elementwise(params.sumGroups * params.sumWidth),
    last: elementwise(
      finishElements(variant, { coefficients: coefficients * stateWidth(shape), channels, rows }),
    ),
  };
  const kernels = codes.map((kernel) => {
    const count = counts[kernel.label.split(' ')[0]];
    return { ...kernel, workgroups: foldWorkgroups(count, device, kernel.label) };
  });
  return { chunking, kernels, params: writeParams(params), bytes: elements * 4, packed };
}

/** Backward: workgroups that share a group's channel blocks; each writes dB and dC of its own. */
function chooseSlots(
  shape: ScanShape,
  options: ScanPlanOptions,
  { lanes, channelBlock }: ScanPlan['tiling'],
  chunks: number,
  groupBlocks: number,
): number {
  if (!shape.variableB && !shape.variableC) return groupBlocks;
  const invocations = shape.batch * chunks * shape.groups * lanes * channelBlock;
  const wanted = Math.ceil((2 * (options.parallelism ?? defaultParallelism)) / invocations);
  return Math.min(groupBlocks, Math.max(1, wanted));
}
