// The scan on host arrays: uploads, dispatches, downloads. For checks, not for speed.
import {
  type ScanArgument,
  type ScanGradients,
  type ScanInputs,
  type ScanOptions,
  type ScanOutput,
  type ScanOutputGradients,
  type ScanShape,
  scanArguments,
} from '@mamba-ts/scan';
import type { ScanImplementation } from '@mamba-ts/scan/conformance';
import { type ScanArray, type ScanDtype, arrayBytes, arrayElements, elementType } from '../arrays';
import { type ScanLimits, deviceLimits } from '../limits';
import { type OptionalArray, type PlanOverride, type ScanPass, type ScanPlan, planScan } from '../plan';
import { type ScanBinding, type ScanBuffers, WebGpuScan } from '../scan';

export interface DeviceScanOptions {
  readonly dtype?: ScanDtype;
  /** Backward takes forward's checkpoints. */
  readonly checkpoints?: boolean;
  /** All arrays and the scratch are parts of one buffer. */
  readonly oneBuffer?: boolean;
  readonly limits?: Partial<ScanLimits>;
  readonly override?: PlanOverride;
}

const gradientNames = {
  u: 'gradU',
  delta: 'gradDelta',
  A: 'gradA',
  B: 'gradB',
  C: 'gradC',
  D: 'gradD',
  z: 'gradZ',
  deltaBias: 'gradDeltaBias',
  initialState: 'gradInitialState',
} as const satisfies Record<ScanArgument, ScanArray>;

/** Uninitialised results are filled with this byte: a NaN in float32 and in f16. */
const poison = 0xff;

type HostArrays = Partial<Record<ScanArray, ArrayLike<number>>>;

export class DeviceScan implements Required<ScanImplementation> {
  /** Plans that were run. */
  readonly plans: ScanPlan[] = [];
  private readonly kernels: WebGpuScan;
  private readonly limits: ScanLimits;

  constructor(
    private readonly device: GPUDevice,
    private readonly settings: DeviceScanOptions = {},
    kernels?: WebGpuScan,
  ) {
    this.kernels = kernels ?? new WebGpuScan(device);
    this.limits = { ...deviceLimits(device), ...settings.limits };
  }

  async forward(shape: ScanShape, inputs: ScanInputs, options: ScanOptions): Promise<ScanOutput> {
    const plan = this.plan(shape, 'forward', options, [...optionalInputs(inputs), 'lastState']);
    const { y, lastState } = await this.run(plan, { ...inputs }, ['y', 'lastState']);
    return { y, lastState };
  }

  async stateUpdate(shape: ScanShape, inputs: ScanInputs, options: ScanOptions): Promise<ScanOutput> {
    const { initialState, ...rest } = inputs;
    const plan = this.plan(shape, 'step', options, optionalInputs(rest));
    const before = initialState ?? new Float32Array(arrayElements(shape, 'lastState'));
    const { y, lastState } = await this.run(plan, { ...rest, lastState: before }, ['y', 'lastState']);
    return { y, lastState };
  }

  async backward(
    shape: ScanShape,
    inputs: ScanInputs,
    gradients: ScanOutputGradients,
    options: ScanOptions,
  ): Promise<ScanGradients> {
    const { checkpoints = false } = this.settings;
    const optional = optionalInputs(inputs);
    const arrays: HostArrays = { ...inputs, gradY: gradients.y };
    if (gradients.lastState !== undefined) arrays.gradLastState = gradients.lastState;
    if (checkpoints) {
      const forward = this.plan(shape, 'forward', options, optional, true);
      arrays.checkpoints = (await this.run(forward, { ...inputs }, ['checkpoints'])).checkpoints;
    }
    const plan = this.plan(
      shape,
      'backward',
      options,
      [
        ...optional,
        ...(gradients.lastState === undefined ? [] : (['gradLastState'] as const)),
        ...(inputs.initialState === undefined ? [] : (['gradInitialState'] as const)),
      ],
      checkpoints,
    );
    const present = scanArguments.filter((name) => inputs[name] !== undefined);
    const results = await this.run(
      plan,
      arrays,
      present.map((name) => gradientNames[name]),
    );
    return Object.fromEntries(present.map((name) => [name, results[gradientNames[name]]])) as unknown as ScanGradients;
  }

  private plan(
    shape: ScanShape,
    pass: ScanPass,
    { deltaSoftplus }: ScanOptions,
    arrays: readonly OptionalArray[],
    checkpoints = false,
  ): ScanPlan {
    const { dtype, oneBuffer, override } = this.settings;
    const plan = planScan(shape, {
      pass,
      arrays,
      dtype,
      deltaSoftplus,
      checkpoints,
      oneBuffer,
      override,
      limits: this.limits,
    });
    this.plans.push(plan);
    return plan;
  }

  private async run<R extends ScanArray>(
    plan: ScanPlan,
    arrays: HostArrays,
    results: readonly R[],
  ): Promise<Record<R, Float32Array>> {
    const memory = new DeviceMemory(this.device, plan);
    const prepared = await this.kernels.prepareAsync(plan);
    try {
      // pushed and popped in one go, so that checks may run side by side
      this.device.pushErrorScope('validation');
      prepared.launch(memory.bindings(arrays));
      const outcome = this.device.popErrorScope();
      const values = await memory.read(results);
      const error = await outcome;
      if (error !== null) throw new Error(`WebGPU: ${error.message}`);
      return values;
    } finally {
      memory.destroy();
      prepared.destroy();
    }
  }
}

function optionalInputs(inputs: ScanInputs): OptionalArray[] {
  return (['D', 'z', 'deltaBias', 'initialState', 'resets'] as const).filter((name) => inputs[name] !== undefined);
}

/** Bytes of values as a plan stores them. */
function stored(plan: ScanPlan, name: ScanArray, values: ArrayLike<number>): Uint8Array {
  const type = elementType(plan.shape, plan.dtype, name);
  const Kind = type === 'i32' ? Int32Array : type === 'f16' ? Float16Array : Float32Array;
  const bytes = new Uint8Array(arrayBytes(plan.shape, plan.dtype, name));
  new Kind(bytes.buffer, 0, values.length).set(values);
  return bytes;
}

/** Buffers of one launch: one each, or parts of one with gaps of 256 bytes that must keep their contents. */
class DeviceMemory {
  private readonly ranges = new Map<ScanArray | 'scratch', Required<GPUBufferBinding>>();
  private readonly buffers: GPUBuffer[] = [];

  constructor(
    private readonly device: GPUDevice,
    private readonly plan: ScanPlan,
  ) {
    const sizes = plan.arrays.map((name): [ScanArray | 'scratch', number] => [
      name,
      arrayBytes(plan.shape, plan.dtype, name),
    ]);
    if (plan.scratchBytes > 0) sizes.push(['scratch', plan.scratchBytes]);
    let end = 256;
    for (const [name, size] of sizes) {
      const offset = plan.oneBuffer ? end : 256;
      const buffer = plan.oneBuffer ? undefined : this.create(offset + size + 256);
      this.ranges.set(name, { buffer: buffer!, offset, size });
      end += Math.ceil(size / 256) * 256 + 256;
    }
    if (!plan.oneBuffer) return;
    const buffer = this.create(end);
    for (const range of this.ranges.values()) range.buffer = buffer;
  }

  bindings(arrays: HostArrays): ScanBuffers {
    for (const [name, { buffer, offset }] of this.ranges) {
      const values = name === 'scratch' ? undefined : arrays[name];
      if (values !== undefined)
        this.device.queue.writeBuffer(buffer, offset, stored(this.plan, name as ScanArray, values));
    }
    return Object.fromEntries(this.ranges) as Record<string, ScanBinding>;
  }

  async read<R extends ScanArray>(names: readonly R[]): Promise<Record<R, Float32Array>> {
    const { plan } = this;
    const entries: [R, Float32Array][] = [];
    for (const { buffer, copy } of await this.download()) {
      for (const name of names) {
        const range = this.ranges.get(name)!;
        if (range.buffer !== buffer) continue;
        const Kind = elementType(plan.shape, plan.dtype, name) === 'f16' ? Float16Array : Float32Array;
        entries.push([name, Float32Array.from(new Kind(copy, range.offset, arrayElements(plan.shape, name)))]);
      }
      this.checkGaps(buffer, new Uint8Array(copy));
    }
    return Object.fromEntries(entries) as Record<R, Float32Array>;
  }

  destroy(): void {
    for (const buffer of this.buffers) buffer.destroy();
  }

  private create(size: number): GPUBuffer {
    const usage = 0x80 | 0x4 | 0x8; // STORAGE, COPY_SRC, COPY_DST
    const buffer = this.device.createBuffer({ size, usage, mappedAtCreation: true });
    new Uint8Array(buffer.getMappedRange()).fill(poison);
    buffer.unmap();
    this.buffers.push(buffer);
    return buffer;
  }

  private async download(): Promise<{ buffer: GPUBuffer; copy: ArrayBuffer }[]> {
    const encoder = this.device.createCommandEncoder();
    const staging = this.buffers.map((buffer) => {
      const copy = this.device.createBuffer({ size: buffer.size, usage: 0x1 | 0x8 }); // MAP_READ, COPY_DST
      encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
      return { buffer, copy };
    });
    this.device.queue.submit([encoder.finish()]);
    await Promise.all(staging.map(({ copy }) => copy.mapAsync(1 /* GPUMapMode.READ */)));
    return staging.map(({ buffer, copy }) => {
      const bytes = copy.getMappedRange().slice(0);
      copy.destroy();
      return { buffer, copy: bytes };
    });
  }

  /** Nothing may be written beside the arrays. */
  private checkGaps(buffer: GPUBuffer, bytes: Uint8Array): void {
    const inside = [...this.ranges.values()]
      .filter((range) => range.buffer === buffer)
      .sort((a, b) => a.offset - b.offset);
    let at = 0;
    for (const { offset, size } of [...inside, { offset: bytes.length, size: 0 }]) {
      for (; at < offset; at++)
        if (bytes[at] !== poison) throw new Error(`byte ${at} of a buffer was written, which belongs to no array`);
      at = offset + size;
    }
  }
}
