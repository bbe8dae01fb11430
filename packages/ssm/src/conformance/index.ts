import { type Device, type MemoryUse, reference, ShapeError } from '@mamba-ts/tensor';
import { expectClose, expectError } from './assertions';
import { testGradients } from './gradients';
import { testLongRuns } from './long-runs';
import { testResets, testSequences } from './sequences';
import { testStates } from './states';
import { expectMemory, type LayerFactory, Subject, type Test } from './subject';

export { sequenceLayers } from './layers';
export type { LayerFactory, TestedLayer } from './subject';

/** What the suite needs of a test runner; vitest, jest and mocha have it under these names, `node:test` too. */
export interface TestHooks {
  readonly describe: (name: string, body: () => void) => void;
  readonly it: (name: string, body: () => void | Promise<void>) => void;
}

export interface SequenceLayerTests {
  /** The float32 devices to test on. */
  readonly devices?: Readonly<Record<string, () => Promise<Device>>>;
  /** False: only on `devices`, where the float64 reference device has its run elsewhere. Default true. */
  readonly reference?: boolean;
  /** Largest error of a value on the float32 devices, relative to the largest value. Default 2e-5. */
  readonly tolerance?: number;
  /** Largest relative error (in norm) of a gradient on the float32 devices. Default 1e-4. */
  readonly gradientTolerance?: number;
  /** The same on the float64 reference. Default 1e-10. */
  readonly referenceTolerance?: number;
  /** False for a layer that refuses `resets`. Default true. */
  readonly resets?: boolean;
  /** Length of the long runs: what a layer of limited length can take. Default 200. */
  readonly longRun?: number;
}

/**
 * The contract of `SequenceLayer` as a test suite. Call it in a test file:
 *
 *     import { describe, it } from 'vitest';
 *     testSequenceLayer({ describe, it }, 'mine', (random) => new MyLayer({ dModel: 4 }, random), { devices: { cpu } });
 *
 * Keep the layer small (a few channels and states): gradients are checked by central differences on the float64
 * reference device, which is slow.
 */
export function testSequenceLayer(
  { describe, it }: TestHooks,
  name: string,
  factory: LayerFactory,
  options: SequenceLayerTests = {},
): void {
  const { devices = {}, tolerance = 2e-5, gradientTolerance = 1e-4, referenceTolerance = 1e-10 } = options;
  const { resets = true, longRun = 200, reference: onReference = true } = options;
  describe(`sequence layer ${name}`, () => {
    for (const [deviceName, create] of Object.entries({ ...(onReference && { reference }), ...devices })) {
      describe(`on ${deviceName}`, () => {
        let made: Promise<[Subject, MemoryUse]> | null = null;
        const makeSubject = async (): Promise<[Subject, MemoryUse]> => {
          const device = await create();
          const empty = device.memory();
          return [new Subject(device, factory, deviceName === 'reference' ? referenceTolerance : tolerance), empty];
        };
        const test: Test = (title, body) => {
          it(title, async () => {
            const [subject] = await (made ??= makeSubject());
            await subject.keepsMemory(() => body(subject));
          });
        };

        testSequences(test);
        testStates(test);
        if (resets) testResets(test);
        testLongRuns(test, { length: longRun, resets });
        testGradients(test, factory, { resets, gradientTolerance });
        testWidth(test);
        if (deviceName !== 'reference') testAgainstReference(test, factory);

        // Last: it ends the device.
        it('gives all its memory back', async () => {
          const [subject, empty] = await (made ??= makeSubject());
          subject.dispose();
          expectMemory(subject.device, empty);
          subject.device.dispose();
        });
      });
    }
  });
}

function testWidth(test: Test): void {
  test('refuses inputs of another width', async (s) => {
    await s.run(() => {
      const wide = s.dModel + 1;
      expectError('forward', () => s.layer.forward(s.values(1, 3, wide)), ShapeError);
      expectError('step', () => s.layer.step(s.values(1, wide), s.layer.initialState(1)), ShapeError);
      return [];
    });
  });
}

function testAgainstReference(test: Test, factory: LayerFactory): void {
  test('agrees with the float64 reference device', async (s) => {
    const exact: Device = await reference();
    const oracle = new Subject(exact, factory, s.tolerance);
    oracle.setParameters(await s.parameterValues());
    const shape = [2, 19, s.dModel];
    const [x] = await s.run(() => s.values(...shape));
    const [actual] = await s.run(() => s.layer.forward(s.upload(shape, x)));
    const [expected] = await oracle.run(() => oracle.layer.forward(oracle.upload(shape, x)));
    expectClose('forward', actual, expected, s.tolerance);
    oracle.dispose();
    exact.dispose();
  });
}
