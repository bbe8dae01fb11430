import { type Device, scope, type Tensor, tensor } from '@mamba-ts/tensor';
import { expect } from 'vitest';

/** Numbers as a tensor of `shape`. */
export function upload(device: Device, values: readonly number[], ...shape: number[]): Tensor {
  return tensor(Float64Array.from(values), { shape, device });
}

/** The values of what `body` computes; nothing else of it stays. */
export async function evaluate(body: () => Tensor): Promise<number[]> {
  const result = scope(() => body().add(0).realize());
  const values = Array.from(await result.data());
  result.dispose();
  return values;
}

/** Ends a test file's device; fails if something is still on it. */
export function disposeEmpty(device: Device): void {
  const { buffers, bytes } = device.memory();
  device.dispose();
  expect({ buffers, bytes }, 'memory that tests left behind').toEqual({ buffers: 0, bytes: 0 });
}
