import type { Backend, DeviceBuffer } from './backend';
import { DeviceError } from './errors';

/** Live device memory, as counted by `device.memory()`. */
export interface MemoryUse {
  /** Buffers that are allocated now. */
  readonly buffers: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Buffers allocated since the device was made: a compiled step must not move it. */
  readonly allocations: number;
}

/** A backend with its memory accounting: the thing tensors live on. Made by `cpu()`, `reference()` or another backend package. */
export class Device {
  private buffers = 0;
  private bytes = 0;
  private allocations = 0;
  private disposed = false;

  constructor(readonly backend: Backend) {}

  get name(): string {
    return this.backend.name;
  }

  /** Live buffers and bytes. Tests compare it with a baseline to find leaks. */
  memory(): MemoryUse {
    return { buffers: this.buffers, bytes: this.bytes, allocations: this.allocations };
  }

  /** Reserves memory; sizes of zero elements take a minimal buffer. */
  allocateBuffer(bytes: number): DeviceBuffer {
    if (this.disposed) throw new DeviceError(`${this.name}: the device was disposed`);
    const buffer = this.backend.allocate(Math.max(bytes, 4));
    this.buffers++;
    this.allocations++;
    this.bytes += buffer.bytes;
    return buffer;
  }

  freeBuffer(buffer: DeviceBuffer): void {
    this.buffers--;
    this.bytes -= buffer.bytes;
    if (!this.disposed) this.backend.free(buffer);
  }

  /** Waits until all submitted work is done. */
  async synchronize(): Promise<void> {
    await this.backend.synchronize();
  }

  /** Frees the device's memory and threads; its tensors are dead afterwards. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    if (defaultDevice === this) defaultDevice = null;
    this.backend.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

let defaultDevice: Device | null = null;

/** The device that `tensor`, `zeros`, … use when none is given. Returns the previous one. */
export function setDefaultDevice(device: Device | null): Device | null {
  const previous = defaultDevice;
  defaultDevice = device;
  return previous;
}

/** @throws DeviceError when no default was set. */
export function getDefaultDevice(): Device {
  if (!defaultDevice) {
    throw new DeviceError('no default device: call setDefaultDevice(await cpu()) first, or pass { device }');
  }
  return defaultDevice;
}
