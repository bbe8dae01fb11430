import { faultError, type OutOfRangeError } from '@mamba-ts/tensor';
import { bufferUsage } from './buffer';

/** Bytes of the record: kind, value, position, limit. */
export const faultBytes = 16;

/**
 * The device's fault record. A kernel that meets a bad id claims it; what changes variables checks it first (see Executable), so that a step that
 * went wrong leaves them alone. Reads carry a copy of it along; the host clears it when it sees a fault.
 */
export class FaultRecord {
  readonly buffer: GPUBuffer;

  constructor(private readonly device: GPUDevice) {
    this.buffer = device.createBuffer({ size: 256, usage: bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget });
  }

  /** The fault that a copy of the record tells of, or null; clears the record. */
  take(copy: ArrayBuffer): OutOfRangeError | null {
    const [kind, value, position, limit] = new Int32Array(copy, 0, 4);
    if (kind === 0) return null;
    this.device.queue.writeBuffer(this.buffer, 0, new Int32Array(4));
    return faultError(kind, value, position, limit);
  }
}
