import { type ScanArgument, type ScanShape } from '@mamba-ts/scan';

/** `step` is a scan of length 1 that updates the buffer `state` in place, for decoding token by token. */
export type ScanOperation = 'forward' | 'backward' | 'step';

/** Every tensor of every operation. Shapes are those of `@mamba-ts/scan`; `gradX` has X's shape. */
export type TensorName =
  | (ScanArgument | 'resets' | 'state' | 'y' | 'lastState')
  | ('gradY' | 'gradLastState' | 'gradU' | 'gradDelta' | 'gradA' | 'gradB' | 'gradC' | 'gradD' | 'gradZ')
  | ('gradDeltaBias' | 'gradInitialState');

/** The part of a GPUDevice (or GPUAdapter) that plans are made from. */
export interface DeviceCapabilities {
  readonly limits: Pick<
    GPUSupportedLimits,
    | 'maxStorageBuffersPerShaderStage'
    | 'maxStorageBufferBindingSize'
    | 'maxBufferSize'
    | 'maxComputeWorkgroupStorageSize'
    | 'maxComputeInvocationsPerWorkgroup'
    | 'maxComputeWorkgroupSizeX'
    | 'maxComputeWorkgroupsPerDimension'
    | 'minStorageBufferOffsetAlignment'
  >;
  readonly features: { has(name: GPUFeatureName): boolean };
  /** With the feature subgroups: their smallest size. */
  readonly adapterInfo?: { readonly subgroupMinSize?: number };
}

export interface ScanPlanOptions {
  readonly operation: ScanOperation;
  /** dt = softplus(delta + deltaBias), the identity above 20. Default false. */
  readonly deltaSoftplus?: boolean;
  /** Which optional inputs there are. Default: none. */
  readonly D?: boolean;
  readonly z?: boolean;
  readonly deltaBias?: boolean;
  readonly initialState?: boolean;
  /** int32 (batch, length), non-zero where a sequence starts. */
  readonly resets?: boolean;
  /** Forward: write the last state. Backward: a gradient of it arrives. Default false. */
  readonly lastState?: boolean;
  /**
   * How u, delta, variable B and C, z, y and their gradients are stored. float16 needs the feature shader-f16; A, D,
   * deltaBias, constant B and C and all states stay float32, as does the arithmetic. Default float32.
   */
  readonly storage?: 'float32' | 'float16';
  /**
   * Inputs and outputs may be parts of one buffer (an arena): all bindings are declared read_write then, since WebGPU
   * refuses a buffer that is read-only in one binding and writable in another. Default false.
   */
  readonly sharedBuffers?: boolean;
  /** How many invocations keep the device busy; more channels than that are not chunked over time. Default 98304. */
  readonly parallelism?: number;
  /** Steps per chunk; by default what suits shape and device. `length` or more: one chunk. */
  readonly chunkLength?: number;
  /** Use subgroups where the device has them. Default true. */
  readonly subgroups?: boolean;
  /** Kernel sizes, for tuning; each is lowered to what the limits allow. */
  readonly tiling?: Partial<Pick<Tiling, 'vectors' | 'channelBlock' | 'tile' | 'reduceSteps'>>;
}

/** How a kernel's invocations share the work: `lanes` hold one channel's states, `channelBlock` channels a workgroup. */
export interface Tiling {
  /** Vectors of four states per invocation. */
  readonly vectors: number;
  /** Invocations that share a channel's states, a power of two. */
  readonly lanes: number;
  readonly channelBlock: number;
  /** Steps that are staged in workgroup memory at once. */
  readonly tile: number;
  /** Backward: steps between two sums over the workgroup's channels. */
  readonly reduceSteps: number;
  /** Backward: invocations of a subgroup that sum in registers; 0: sums go through workgroup memory. */
  readonly subgroup: number;
  /** Bytes of workgroup memory. */
  readonly workgroupBytes: number;
}

/** One dispatch. */
export interface ScanKernel {
  readonly label: string;
  readonly code: string;
  /** Storage buffers at bindings 1, 2, …; binding 0 is the parameter block. */
  readonly buffers: readonly { readonly name: TensorName | 'scratch'; readonly writable: boolean }[];
  readonly workgroups: readonly [x: number, y: number];
}

/** A tensor's place in a plan. */
export interface PlanTensor {
  readonly name: TensorName;
  readonly writable: boolean;
  readonly elementType: 'float32' | 'float16' | 'int32';
  /** Bytes that its buffer (or binding) must have at least; a multiple of 4. */
  readonly bytes: number;
}

export interface ScanPlan {
  readonly shape: ScanShape;
  readonly options: ScanPlanOptions;
  /** Tensors that must be bound, in order. */
  readonly tensors: readonly PlanTensor[];
  /** Bytes of the buffer `scratch`; 0 where none is needed. */
  readonly scratchBytes: number;
  readonly chunks: number;
  readonly chunkLength: number;
  readonly tiling: Tiling;
  readonly kernels: readonly ScanKernel[];
  /** The parameter block that all kernels read. */
  readonly params: Uint32Array<ArrayBuffer>;
  /** Smallest offset of a binding into a buffer. */
  readonly offsetAlignment: number;
  /** What was chosen and why. */
  readonly explanation: string;
}
