import { type Device, reference } from '@mamba-ts/tensor';
import { relativeError, type TestRunner } from '@mamba-ts/tensor/conformance';
import { chain, chainGradient, draws, memoryOver, type TrainingRun, trainingRun } from './training-run';

const steps = 50;
/** Largest relative difference of two loss curves at any step. */
const curveTolerance = 1e-4;

/** A device under comparison; `open` is called once. */
export interface ComparedDevice {
  readonly name: string;
  readonly open: () => Promise<Device>;
  /** Slow ones (the reference) leave out the thousand steps. */
  readonly longRun: boolean;
}

/** The same training run on every device, compared with the float64 reference: losses, initial values, dropout, samples, memory. */
export function testSameRun({ describe, it, expect, beforeAll, afterAll }: TestRunner, devices: readonly ComparedDevice[]): void {
  describe('the same run on every device', () => {
    let expected: TrainingRun;
    let expectedDraws: number[];
    beforeAll(async () => {
      const oracle = await reference();
      expected = await trainingRun(oracle, steps);
      expectedDraws = await draws(oracle);
      oracle.dispose();
    });

    for (const { name, open, longRun } of devices) {
      describe(name, () => {
        let device: Device;
        let baseline: ReturnType<Device['memory']>;
        beforeAll(async () => {
          device = await open();
          baseline = device.memory();
        });
        afterAll(() => device.dispose());

        it(`trains for ${steps} steps with the reference's losses, and samples its tokens`, async () => {
          const run = await trainingRun(device, steps);
          expect([...run.initial.keys()]).toEqual([...expected.initial.keys()]);
          for (const [path, values] of run.initial) {
            expect(relativeError(values, expected.initial.get(path) as Float64Array), `initial ${path}`).toBeLessThan(1e-6);
          }
          run.losses.forEach((loss, i) => expect(Math.abs(loss / expected.losses[i] - 1), `loss of step ${i}`).toBeLessThan(curveTolerance));
          expect(run.losses[steps - 1]).toBeLessThan(run.losses[0] * 0.9);
          expect(run.samples).toEqual(expected.samples);
        });

        it('draws the same dropout masks, uniforms, bits and integers', async () => {
          expect(await draws(device)).toEqual(expectedDraws);
        });

        it('checkpoint lowers the planned memory of a backward pass as computed, and leaves the gradient', async () => {
          const [whole, pieces] = [await chainGradient(device, null), await chainGradient(device, 3)];
          const activation = 4 * chain.rows * chain.width;
          // Kept: an activation or more per layer. In pieces of 3: one per piece, and those of one piece at a time.
          expect(whole.arenaBytes).toBeGreaterThan(chain.layers * activation - 1);
          expect(whole.arenaBytes - pieces.arenaBytes).toBeGreaterThan((chain.layers - chain.layers / 3 - 3) * activation - 1);
          expect(relativeError(pieces.gradient, whole.gradient)).toBeLessThan(1e-6);
        });

        if (longRun) {
          it('takes no more memory after 1,000 steps than after 3', async () => {
            const { before, after, peakBytes, arenaBytes } = await memoryOver(device, 1000);
            expect(after).toEqual(before);
            expect(peakBytes).toBeGreaterThan(arenaBytes);
          });
        }

        it('has given everything back', () => {
          const { buffers, bytes } = device.memory();
          expect({ buffers, bytes }).toEqual({ buffers: baseline.buffers, bytes: baseline.bytes });
        });
      });
    }
  });
}
