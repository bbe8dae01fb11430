import { type Backend, Device, DeviceError, type DeviceBuffer, type Executable } from '@mamba-ts/tensor';

/** Counts bytes, holds none, computes nothing. */
class ShapeBackend implements Backend {
  readonly name = 'shapes';
  readonly description = 'shapes only: no memory, no values';
  readonly fuses = true;

  allocate(bytes: number): DeviceBuffer {
    return { bytes };
  }
  free(): void {}
  write(): void {}
  read(): Promise<never> {
    return Promise.reject(this.noValues());
  }
  readSync(): never {
    throw this.noValues();
  }
  copy(): void {}
  refuses(): null {
    return null;
  }
  scratchBytes(): number {
    return 0;
  }
  prepare(): Executable {
    return {
      run: () => undefined,
      record: () => ({ replay: () => undefined, dispose: () => undefined }),
      describe: () => [],
    };
  }
  synchronize(): Promise<void> {
    return Promise.resolve();
  }
  dispose(): void {}

  private noValues(): DeviceError {
    return new DeviceError('shapes: tensors of this device have no values');
  }
}

/** A device on which a model of any size can be built to look at its shapes: nothing is allocated or computed. */
export function shapeDevice(): Device {
  return new Device(new ShapeBackend());
}
