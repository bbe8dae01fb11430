// The package as the contract's suite wants it: Float32Arrays in and out, through GPUBuffers.
import { type ScanGradients, type ScanInputs, type ScanOptions, type ScanOutput, type ScanShape } from '@mamba-ts/scan';
import { type ScanImplementation } from '@mamba-ts/scan/conformance';
import { type ScanPlanOptions, type TensorName, compileScanAsync, planScan } from '@mamba-ts/scan-webgpu';

const storage = 0x80 | 0x8 | 0x4; // STORAGE, COPY_DST, COPY_SRC

type Arrays = { readonly [name in TensorName]?: Float32Array | Int32Array | Uint8Array };

/** Rounds to float16 and back, to nearest even. */
export const toHalf = (values: Float32Array): Float32Array => Float32Array.from(new Float16Array(values));

/** Plans, runs and reads back one scan. Everything that is written is filled with NaN first, scratch too. */
export async function runScan(
  device: GPUDevice,
  shape: ScanShape,
  options: ScanPlanOptions,
  arrays: Arrays,
  capabilities: Parameters<typeof planScan>[0] = device,
): Promise<{ [name in TensorName]?: Float32Array }> {
  const plan = planScan(capabilities, shape, options);
  const scan = await compileScanAsync(device, plan);
  const buffers: Partial<Record<TensorName | 'scratch', GPUBuffer>> = {};
  const create = (name: string, bytes: number): GPUBuffer => {
    const buffer = device.createBuffer({ label: name, size: Math.max(4, bytes), usage: storage, mappedAtCreation: true });
    new Uint32Array(buffer.getMappedRange()).fill(0xffffffff);
    buffer.unmap();
    return buffer;
  };
  for (const { name, bytes, elementType } of plan.tensors) {
    const buffer = create(name, bytes);
    const array = arrays[name];
    if (array !== undefined) {
      const typed =
        elementType === 'float16' ? new Float16Array(array) : elementType === 'int32' ? new Int32Array(array) : array;
      const bytes = new Uint8Array(Math.ceil(typed.byteLength / 4) * 4);
      bytes.set(new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength));
      device.queue.writeBuffer(buffer, 0, bytes);
    }
    buffers[name] = buffer;
  }
  if (plan.scratchBytes > 0) {
    buffers.scratch = create('scratch', plan.scratchBytes);
  }
  const encoder = device.createCommandEncoder();
  scan.bind(buffers).encode(encoder);
  const outputs = plan.tensors.filter(({ writable }) => writable);
  const total = outputs.reduce((sum, { bytes }) => sum + bytes, 0);
  const staging = device.createBuffer({ size: total, usage: 0x1 | 0x8 }); // MAP_READ, COPY_DST
  let at = 0;
  for (const { name, bytes } of outputs) {
    encoder.copyBufferToBuffer(buffers[name] as GPUBuffer, 0, staging, at, bytes);
    at += bytes;
  }
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(1);
  const mapped = staging.getMappedRange();
  const results: { [name in TensorName]?: Float32Array } = {};
  at = 0;
  for (const { name, bytes, elementType } of outputs) {
    results[name] =
      elementType === 'float16'
        ? Float32Array.from(new Float16Array(mapped, at, bytes / 2))
        : new Float32Array(mapped, at, bytes / 4).slice();
    at += bytes;
  }
  for (const buffer of [...Object.values(buffers), staging]) buffer.destroy();
  scan.destroy();
  return results;
}

type Fixed = Partial<ScanPlanOptions>;

function planOptions(inputs: ScanInputs, options: ScanOptions): Omit<ScanPlanOptions, 'operation'> {
  return {
    deltaSoftplus: options.deltaSoftplus ?? false,
    D: inputs.D !== undefined,
    z: inputs.z !== undefined,
    deltaBias: inputs.deltaBias !== undefined,
    initialState: inputs.initialState !== undefined,
    resets: inputs.resets !== undefined,
  };
}

/** The package behind the suite's interface; `fixed` are options for every plan, `capabilities` limits to plan for. */
export function gpuScan(
  device: GPUDevice,
  fixed: Fixed = {},
  capabilities: Parameters<typeof planScan>[0] = device,
): Required<ScanImplementation> {
  return {
    async forward(shape: ScanShape, inputs: ScanInputs, options: ScanOptions): Promise<ScanOutput> {
      const plan = { operation: 'forward', lastState: true, ...planOptions(inputs, options), ...fixed } as const;
      const { y, lastState } = await runScan(device, shape, plan, inputs, capabilities);
      return { y, lastState } as ScanOutput;
    },
    async backward(shape, inputs, gradients, options): Promise<ScanGradients> {
      const lastState = gradients.lastState !== undefined;
      const plan = { operation: 'backward', ...planOptions(inputs, options), lastState, ...fixed } as const;
      const given = { ...inputs, gradY: gradients.y, gradLastState: gradients.lastState };
      const r = await runScan(device, shape, plan, given, capabilities);
      return {
        ...{ u: r.gradU, delta: r.gradDelta, A: r.gradA, B: r.gradB, C: r.gradC },
        ...(r.gradD && { D: r.gradD }),
        ...(r.gradZ && { z: r.gradZ }),
        ...(r.gradDeltaBias && { deltaBias: r.gradDeltaBias }),
        ...(r.gradInitialState && { initialState: r.gradInitialState }),
      } as ScanGradients;
    },
    async stateUpdate(shape, inputs, options): Promise<ScanOutput> {
      const { initialState, ...rest } = inputs;
      const plan = { operation: 'step', ...planOptions(rest, options), ...fixed, chunkLength: undefined } as const;
      const { y, state } = await runScan(device, shape, plan, { ...rest, state: initialState }, capabilities);
      return { y, lastState: state } as ScanOutput;
    },
  };
}
