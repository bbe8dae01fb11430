import { type Device, cpu, reference, setDefaultDevice } from '@mamba-ts/tensor';
import { fusingReference } from '@mamba-ts/tensor/conformance';
import { afterAll, beforeAll, describe, expect } from 'vitest';

export interface TestDevice {
  readonly device: Device;
  /** Relative error that sums of a few terms may have here. */
  readonly tolerance: number;
}

const makers: readonly [name: string, make: () => Promise<Device>, tolerance: number][] = [
  ['reference', reference, 1e-12],
  ['reference, fused kernels', fusingReference, 1e-12],
  ['cpu, 1 thread', () => cpu({ threads: 1 }), 4e-6],
  ['cpu, 2 threads', () => cpu({ threads: 2 }), 4e-6],
];

/** Runs the tests once per device, as the default one; afterwards nothing may be left in its memory. */
export function onEachDevice(title: string, body: (test: TestDevice) => void): void {
  for (const [name, make, tolerance] of makers) {
    describe(`${title} (${name})`, () => {
      const test = { tolerance } as { device: Device; tolerance: number };
      let previous: Device | null = null;
      beforeAll(async () => {
        test.device = await make();
        previous = setDefaultDevice(test.device);
      });
      afterAll(() => {
        const { buffers, bytes } = test.device.memory();
        setDefaultDevice(previous);
        test.device.dispose();
        expect({ buffers, bytes }).toEqual({ buffers: 0, bytes: 0 });
      });
      body(test);
    });
  }
}

/** Equal up to `tolerance` of the largest expected value. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...Array.from(expected, Math.abs), 1e-30);
  for (let i = 0; i < expected.length; i++) {
    // Written so that NaN fails.
    if (!(Math.abs(actual[i] - expected[i]) <= tolerance * scale)) {
      expect.fail(`element ${i} is ${actual[i]}, expected ${expected[i]} ± ${tolerance * scale}`);
    }
  }
}
