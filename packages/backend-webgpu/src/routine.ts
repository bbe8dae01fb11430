import { byteSize, type Epilogue, type HalfInputs, type Kernel, type Program, type RoutineCall, type RoutineStep, type TensorSpec, type ViewInputs } from '@mamba-ts/tensor';
import type { WebGpuScan } from '@mamba-ts/scan-webgpu';
import type { ElementType, PassBinding, Resource, Work } from './pass';

/** What routines may know of the device. */
export interface Capabilities {
  readonly maxBindingBytes: number;
  readonly workgroupBytes: number;
  /** Invocations of a workgroup. */
  readonly maxInvocations: number;
  /** Storage buffers that a pass may bind. */
  readonly maxBuffers: number;
  /** A rasteriser in software: barriers are slow there. */
  readonly software: boolean;
  readonly subgroups: boolean;
  readonly gpu: GPUDevice;
  /** The scans' kernels on this device. */
  readonly scan: WebGpuScan;
}

/** How one routine runs on WebGPU: dispatches over the memory of a step. */
export interface WebGpuRoutine {
  /** Why this call can't run here, or null. */
  refuses?(call: RoutineCall, capabilities: Capabilities): string | null;
  /** Can it run this epilogue on its first output? */
  absorbs?(call: RoutineCall, kernel: Kernel, capabilities: Capabilities): boolean;
  /** float32 elements of what it can leave for its backward pass (`Backend.scanCheckpoints`). */
  checkpoints?(call: RoutineCall, capabilities: Capabilities): number;
  /** Bytes of scratch between its passes. */
  scratchBytes?(call: RoutineCall, capabilities: Capabilities): number;
  passes(call: RoutineCall, memory: StepMemory, capabilities: Capabilities): readonly Work[];
}

/** Operands that are read as stored when they are bfloat16 or float16. */
export const halfInputs: HalfInputs = { matmul: [0, 1], gather: [0] };

/** Operands that are read where they lie inside larger ones: rows of two leading axes. */
export const viewInputs: ViewInputs = { matmul: { 0: 2 } };

/** Can this call find an id out of range? */
export function raisesFaults(call: RoutineCall): boolean {
  return call.name === 'gather' || call.name === 'scatterAdd' || call.name === 'crossEntropy';
}

/** The memory of one routine step, as bindings. */
export class StepMemory {
  constructor(
    private readonly step: RoutineStep,
    readonly program: Program,
    /** The program can meet bad ids: then no variable may change. */
    private readonly raises: boolean,
  ) {}

  /** Must writing to this slot wait until it is known that there was no fault? */
  isGuarded(slot: number): boolean {
    return this.raises && this.program.slots[slot].outlives === true;
  }

  /** Names the buffer that a resource will be part of. */
  bufferOf(resource: Resource): string {
    return bufferOf(resource, this.program);
  }

  get epilogue(): Epilogue | undefined {
    return this.step.epilogue;
  }

  input(i: number, name: string, type: ElementType): PassBinding {
    return { name, type, resource: this.slot(this.step.inputs[i] as number), writes: false };
  }

  has(i: number): boolean {
    return this.step.inputs[i] !== null && this.step.inputs[i] !== undefined;
  }

  output(i: number, name: string, type: ElementType): PassBinding {
    return { name, type, resource: this.slot(this.step.outputs[i]), writes: true };
  }

  /** `bytes` of the step's scratch from byte `offset`, a multiple of 256. */
  scratch(name: string, type: ElementType, offset: number, bytes: number, writes: boolean): PassBinding {
    return { name, type, resource: { kind: 'slot', slot: this.step.scratch as number, offset, bytes }, writes };
  }

  fault(name: string): PassBinding {
    return { name, type: 'atomic<u32>', resource: { kind: 'fault' }, writes: true };
  }

  inputSlot(i: number): number | null {
    return this.step.inputs[i] ?? null;
  }

  outputSlot(i: number): number {
    return this.step.outputs[i];
  }

  private slot(slot: number): Resource {
    return { kind: 'slot', slot, offset: 0, bytes: this.program.slots[slot].bytes };
  }
}

/** Names the buffer that a resource will be part of: all arena slots share one. */
export function bufferOf(resource: Resource, program: Program): string {
  if (resource.kind !== 'slot') return resource.kind;
  return program.slots[resource.slot].kind === 'arena' ? 'arena' : `external ${resource.slot}`;
}

export function inputSpec(call: RoutineCall, i: number): TensorSpec {
  return call.inputs[i] as TensorSpec;
}

export function specBytes(spec: TensorSpec): number {
  return spec.shape.reduce((a, b) => a * b, byteSize(spec.dtype));
}

export function align256(bytes: number): number {
  return Math.ceil(bytes / 256) * 256;
}
