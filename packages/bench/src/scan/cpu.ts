import { type ScanInputs, detectScanVariant, releaseScanMemory, scanSize, selectiveScan, selectiveScanBackward } from '@mamba-ts/scan';
import { describeMachine } from '../machine';
import { measure } from '../measure';
import type { Measurement } from '../results';
import type { ScanBenchDevice } from './device';

const sizes: readonly (readonly [batch: number, channels: number, length: number])[] = [
  [1, 1536, 256],
  [1, 1536, 2048],
  [4, 256, 1024],
];

/** The WASM kernel of @mamba-ts/scan on one thread. Its exponentials are arithmetic like the rest and have no floor of their own. */
export async function openCpuScan(): Promise<ScanBenchDevice> {
  const block = new Float32Array(2 ** 24);
  const target = new Float32Array(block.length);
  const bytesPerMs = (2 * block.byteLength) / measure(() => target.set(block), { budget: 300 }).median;
  const variant = detectScanVariant();
  const named = new Map(sizes.map((size) => [size.join('x'), size]));
  return {
    description: `WASM (${variant}), one thread of ${describeMachine().machine.cpu}, in this run ${(bytesPerMs / 1e6).toFixed(1)} GB/s copied`,
    sizes: [...named.keys()],
    async measure(size) {
      const [batch, channels, length] = named.get(size)!;
      const shape = { batch, length, channels, dState: 16, groups: 1, complex: false, variableB: true, variableC: true };
      let state = 12345;
      const uniform = (low: number, high: number): number => {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        return low + ((high - low) * (state >>> 8)) / 2 ** 24;
      };
      const fill = (name: Parameters<typeof scanSize>[1], low: number, high: number): Float32Array =>
        Float32Array.from({ length: scanSize(shape, name) }, () => uniform(low, high));
      const inputs: ScanInputs = {
        u: fill('u', -1, 1),
        delta: fill('delta', -1, 1),
        A: fill('A', -16, -0.5),
        B: fill('B', -1, 1),
        C: fill('C', -1, 1),
        D: fill('D', 0, 1),
        z: fill('z', -1, 1),
        deltaBias: fill('deltaBias', -5, -3),
      };
      const gradients = { y: fill('y', -1, 1) };
      const options = { deltaSoftplus: true };
      const forward = measure(() => void selectiveScan(shape, inputs, options), { budget: 800 });
      const both = measure(() => {
        selectiveScan(shape, inputs, options);
        selectiveScanBackward(shape, inputs, gradients, options);
      }, { budget: 1500 });
      const rows = batch * length;
      const bytes = [(4 * channels + 32) * rows * 4, (11 * channels + 96) * rows * 4];
      return [forward, both].map((timing, index): Measurement => ({
        name: `scan ${index === 0 ? 'forward' : 'forward and backward'} ${size}, N 16, float32`,
        threads: 1,
        timing,
        rate: { value: (rows * channels * 16) / timing.median / 1e6, unit: 'G states/s' },
        note: `${((100 * bytes[index]) / bytesPerMs / timing.median).toFixed(0)} % of the bytes' floor`,
      }));
    },
    close: releaseScanMemory,
  };
}
