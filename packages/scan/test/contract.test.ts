import { describe, it } from 'vitest';
import { ScanRuntime, selectiveScan, selectiveScanBackward, selectiveStateUpdate } from '@mamba-ts/scan';
import { type ScanImplementation, testScan } from '@mamba-ts/scan/conformance';

const variants = ['simd', 'relaxed'] as const;
const runtimes = new Map(variants.map((variant) => [variant, new ScanRuntime({ variant })]));

for (const [variant, runtime] of runtimes) {
  testScan({ describe, it }, `WASM ${variant}`, (): ScanImplementation => ({
    forward: (shape, inputs, options) => runtime.forward(shape, inputs, options),
    backward: (shape, inputs, gradients, options) => runtime.backward(shape, inputs, gradients, options),
    stateUpdate: (shape, { initialState, ...inputs }, options) => {
      const lastState = Float32Array.from(initialState ?? []);
      return { y: runtime.stateUpdate(shape, lastState, inputs, options), lastState };
    },
  }));
}

testScan({ describe, it }, 'reference behind the standalone functions', (): ScanImplementation => ({
  forward: (shape, inputs, options) => selectiveScan(shape, inputs, { ...options, implementation: 'reference' }),
  backward: (shape, inputs, gradients, options) =>
    selectiveScanBackward(shape, inputs, gradients, { ...options, implementation: 'reference' }),
  stateUpdate: (shape, { initialState, ...inputs }, options) => {
    const lastState = Float32Array.from(initialState ?? []);
    return {
      y: selectiveStateUpdate(shape, lastState, inputs, { ...options, implementation: 'reference' }),
      lastState,
    };
  },
}));
