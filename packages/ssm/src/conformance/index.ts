import { type Device, type MemoryUse, reference, ShapeError } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testGradients } from './gradients';
import { testResets, testSequences } from './sequences';
import { testStates } from './states';
import { expectClose, expectMemory, type LayerFactory, Subject } from './subject';

export type { LayerFactory, TestedLayer } from './subject';

export interface SequenceLayerTests {
  /** The float32 devices to test on; the float64 reference device is always one more. */
  readonly devices?: Readonly<Record<string, () => Promise<Device>>>;
  /** Largest error of a value on the float32 devices, relative to the largest value. Default 2e-5. */
  readonly tolerance?: number;
  /** Largest relative error (in norm) of a gradient on the float32 devices. Default 1e-4. */
  readonly gradientTolerance?: number;
  /** The same on the float64 reference. Default 1e-10. */
  readonly referenceTolerance?: number;
  /** False for a layer that refuses `resets`. Default true. */
  readonly resets?: boolean;
}

/**
 * The contract of `SequenceLayer` as a vitest suite. Call it in a test file:
 *
 *     testSequenceLayer('mine', (random) => new MyLayer({ dModel: 6 }, random), { devices: { cpu } });
 *
 * Keep the layer small (a few channels and states): gradients are checked by central differences on the float64
 * reference device, which is slow.
 */
export function testSequenceLayer(name: string, factory: LayerFactory, options: SequenceLayerTests = {}): void {
  const {
    devices = {},
    tolerance = 2e-5,
    gradientTolerance = 1e-4,
    referenceTolerance = 1e-10,
    resets = true,
  } = options;
  describe(`sequence layer ${name}`, () => {
    for (const [deviceName, create] of Object.entries({ reference, ...devices })) {
      describe(`on ${deviceName}`, () => {
        let device: Device;
        let subject: Subject;
        let empty: MemoryUse;
        beforeAll(async () => {
          device = await create();
          empty = device.memory();
          subject = new Subject(device, factory, deviceName === 'reference' ? referenceTolerance : tolerance);
        });
        afterAll(() => {
          subject.dispose();
          expectMemory(device, empty);
          device.dispose();
        });

        testSequences(() => subject);
        testStates(() => subject);
        if (resets) testResets(() => subject);
        testGradients(() => subject, factory, { resets, gradientTolerance });

        it('refuses inputs of another width', async () => {
          await subject.keepsMemory(async () => {
            await subject.run(() => {
              expect(() => subject.layer.forward(subject.values(1, 3, subject.dModel + 1))).toThrow(ShapeError);
              expect(() =>
                subject.layer.step(subject.values(1, subject.dModel + 1), subject.layer.initialState(1)),
              ).toThrow(ShapeError);
              return [];
            });
          });
        });

        if (deviceName !== 'reference') {
          it('agrees with the float64 reference device', async () => {
            const exact = await reference();
            const oracle = new Subject(exact, factory, tolerance);
            oracle.setParameters(await subject.parameterValues());
            const shape = [2, 19, subject.dModel];
            const [x] = await subject.run(() => subject.values(...shape));
            const [actual] = await subject.run(() => subject.layer.forward(subject.upload(shape, x)));
            const [expected] = await oracle.run(() => oracle.layer.forward(oracle.upload(shape, x)));
            expectClose('forward', actual, expected, tolerance);
            oracle.dispose();
            exact.dispose();
          });
        }
      });
    }
  });
}
