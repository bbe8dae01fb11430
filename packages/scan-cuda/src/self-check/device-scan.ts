// The scan on host arrays: uploads, launches, downloads. For checks, not for speed.
import {
  type ScanArgument,
  type ScanGradients,
  type ScanInputs,
  type ScanOptions,
  type ScanOutput,
  type ScanOutputGradients,
  type ScanShape,
  scanArguments,
  scanSize,
} from '@mamba-ts/scan';
import type { ScanImplementation } from '@mamba-ts/scan/conformance';
import type { CudaContext } from '../driver/index';
import type { ScanDtype } from '../layout';
import { type PlanOverride, type ScanPass, type ScanPlan, type ScanPlanOptions, planScan } from '../plan';
import { CudaScan, type ScanPointers, scanBytes } from '../scan';

/** float32 to bf16, to nearest, ties to even. */
export function toBf16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(words, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16);
}

export function fromBf16(values: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(values, (half) => half << 16).buffer);
}

/** Uninitialised results are filled with this byte: a NaN in float32 and in bf16. */
const poison = 0xff;

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
} as const satisfies Record<ScanArgument, keyof ScanPointers>;

export interface DeviceScanOptions {
  readonly dtype?: ScanDtype;
  /** Backward takes forward's checkpoints. */
  readonly checkpoints?: boolean;
  readonly override?: PlanOverride;
}

export class DeviceScan implements Required<ScanImplementation> {
  private readonly kernels: CudaScan;
  /** Kernels that were launched. */
  readonly used: Set<string> = new Set();

  constructor(
    private readonly context: CudaContext,
    private readonly settings: DeviceScanOptions = {},
    kernels?: CudaScan,
  ) {
    this.kernels = kernels ?? new CudaScan(context);
  }

  async forward(shape: ScanShape, inputs: ScanInputs, options: ScanOptions): Promise<ScanOutput> {
    return this.withPlan(shape, 'forward', options, {}, async (plan, launch, memory) => {
      const results = { y: memory.result(scanBytes(plan, 'y')), lastState: memory.result(scanBytes(plan, 'lastState')) };
      await launch({ ...memory.inputs(plan, inputs), ...results });
      return { y: memory.read(plan, 'y', results.y), lastState: memory.read(plan, 'lastState', results.lastState) };
    });
  }

  async stateUpdate(shape: ScanShape, { initialState, ...inputs }: ScanInputs, options: ScanOptions): Promise<ScanOutput> {
    return this.withPlan(shape, 'step', options, {}, async (plan, launch, memory) => {
      const lastState = memory.upload(initialState ?? new Float32Array(scanSize(shape, 'lastState')));
      const y = memory.result(scanBytes(plan, 'y'));
      await launch({ ...memory.inputs(plan, inputs), y, lastState });
      return { y: memory.read(plan, 'y', y), lastState: memory.read(plan, 'lastState', lastState) };
    });
  }

  async backward(
    shape: ScanShape,
    inputs: ScanInputs,
    gradients: ScanOutputGradients,
    options: ScanOptions,
  ): Promise<ScanGradients> {
    const { checkpoints = false } = this.settings;
    return this.withPlan(shape, 'backward', options, { checkpoints }, async (plan, launch, memory) => {
      const device = memory.inputs(plan, inputs);
      const pointers: Record<string, bigint> = { ...device, gradY: memory.upload(memory.stored(plan, 'y', gradients.y)) };
      if (gradients.lastState !== undefined) pointers.gradLastState = memory.upload(gradients.lastState);
      if (checkpoints) {
        pointers.checkpoints = memory.result(plan.checkpointBytes);
        const y = memory.result(scanBytes(plan, 'y'));
        await this.withPlan(shape, 'forward', options, { checkpoints }, (_, launchForward) =>
          launchForward({ ...device, y, checkpoints: pointers.checkpoints }),
        );
      }
      const present = scanArguments.filter((name) => inputs[name] !== undefined);
      for (const name of present) pointers[gradientNames[name]] = memory.result(scanBytes(plan, name));
      await launch(pointers as unknown as ScanPointers);
      const entries = present.map((name) => [name, memory.read(plan, name, pointers[gradientNames[name]])] as const);
      return Object.fromEntries(entries) as unknown as ScanGradients;
    });
  }

  private async withPlan<R>(
    shape: ScanShape,
    pass: ScanPass,
    { deltaSoftplus }: ScanOptions,
    more: Partial<ScanPlanOptions>,
    body: (plan: ScanPlan, launch: (pointers: ScanPointers) => Promise<void>, memory: DeviceMemory) => Promise<R>,
  ): Promise<R> {
    const { dtype, override } = this.settings;
    const { multiprocessors } = this.context;
    const plan = planScan(shape, { pass, dtype, deltaSoftplus, override, multiprocessors, ...more });
    const memory = new DeviceMemory(this.context);
    try {
      const prepared = await this.kernels.prepare(plan);
      for (const { name } of plan.kernels) this.used.add(name);
      const launch = async (pointers: ScanPointers): Promise<void> => {
        const scratch = plan.scratchBytes > 0 ? { scratch: memory.result(plan.scratchBytes) } : {};
        prepared.launch({ ...pointers, ...scratch });
        this.context.synchronize();
      };
      return await body(plan, launch, memory);
    } finally {
      memory.free();
    }
  }
}

/** Device memory of one call. */
class DeviceMemory {
  private readonly pointers: bigint[] = [];

  constructor(private readonly context: CudaContext) {}

  upload(values: ArrayBufferView): bigint {
    const pointer = this.context.allocate(values.byteLength);
    this.pointers.push(pointer);
    this.context.upload(pointer, values);
    return pointer;
  }

  result(bytes: number): bigint {
    return this.upload(new Uint8Array(bytes).fill(poison));
  }

  /** A host array as the plan stores it. */
  stored(plan: ScanPlan, name: ScanArgument | 'y', values: Float32Array): ArrayBufferView {
    return scanBytes(plan, name) < values.byteLength ? toBf16(values) : values;
  }

  inputs(plan: ScanPlan, inputs: ScanInputs): ScanPointers {
    const pointers: Record<string, bigint> = {};
    for (const name of scanArguments) {
      const values = inputs[name];
      if (values !== undefined) pointers[name] = this.upload(this.stored(plan, name, values));
    }
    if (inputs.resets !== undefined) pointers.resets = this.upload(Int32Array.from(inputs.resets));
    return pointers as unknown as ScanPointers;
  }

  read(plan: ScanPlan, name: ScanArgument | 'y' | 'lastState', from: bigint): Float32Array {
    const size = scanSize(plan.shape, name);
    if (scanBytes(plan, name) === size * 4) {
      const values = new Float32Array(size);
      this.context.download(values, from);
      return values;
    }
    const values = new Uint16Array(size);
    this.context.download(values, from);
    return fromBf16(values);
  }

  free(): void {
    for (const pointer of this.pointers) this.context.free(pointer);
  }
}
