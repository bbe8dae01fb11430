import type { DeviceBuffer, RoutineCall } from '@mamba-ts/tensor';
import type { BufferPool, WebGpuBuffer } from './buffer';
import type { FaultRecord } from './faults';
import type { PipelineCache } from './pipelines';
import type { Capabilities, WebGpuRoutine } from './routine';

/** The backend as executables see it. */
export interface Runtime {
  readonly gpu: GPUDevice;
  readonly pool: BufferPool;
  readonly pipelines: PipelineCache;
  readonly faults: FaultRecord;
  readonly capabilities: Capabilities;
  /** @throws DeviceError for a call that can't run here */
  routine(call: RoutineCall): WebGpuRoutine;
  /** The buffer, if it is a live one of this device with at least `bytes` bytes. @throws DeviceError */
  own(buffer: DeviceBuffer, bytes: number, what: string): WebGpuBuffer;
  /** Where commands are recorded until the next `flush`. */
  commands(): GPUCommandEncoder;
  /** Submits what is recorded. */
  flush(): void;
  /** @throws DeviceLostError, DeviceError when nothing can run any more */
  check(): void;
}
