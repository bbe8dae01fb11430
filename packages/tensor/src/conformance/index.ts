import { Device } from '../device';
import { reference, ReferenceBackend } from '../reference/backend';
import { differentiableCases } from './cases';
import { relativeError, runCase } from './compare';
import { testCompiledSteps } from './compiled-steps';
import { testElementwise } from './elementwise';
import { testFusion } from './fusion';
import { testHalfOperands } from './half-operands';
import { testMemory } from './memory';
import { afterAll, beforeAll, describe, expect, it, type TestRunner, useRunner } from './runner';
import { testScanCheckpoints } from './scan-checkpoints';

export { type DifferentiableCase, differentiableCases } from './cases';
export { caseInputs, numericGradients, relativeError, runCase } from './compare';
export { type PlainResult, type PlainRunner, plainRunner } from './plain-runner';
export type { TestRunner } from './runner';
// For authors of printers: random kernels, what they must give, and the functions of the instruction set in float64.
export { interpreted, type TestBuffer } from './interpreted-kernel';
export { randomKernel, type RandomKernel } from './random-kernel';
export { binaryFunctions, unaryFunctions } from '../reference/scalar-functions';
export { randomIntegers, randomSource, randomValues } from './random-values';

/** How close a float32 device must come to the float64 reference. */
const valueTolerance = 2e-6;
const gradientTolerance = 1e-5;

/** The two devices of a suite: the one under test and the oracle. */
export interface Devices {
  device: Device;
  oracle: Device;
}

/**
 * The backend contract as a vitest suite. A backend author calls it in a test file:
 *
 *     import * as vitest from 'vitest';
 *     testBackend(vitest, 'mine', async () => new Device(await createMyBackend()));
 *
 * Everything is compared with the float64 reference device; shapes are small and odd.
 */
export function testBackend(runner: TestRunner, name: string, factory: () => Promise<Device>): void {
  useRunner(runner);
  describe(`backend ${name}`, () => {
    const devices = {} as Devices;
    beforeAll(async () => {
      devices.device = await factory();
      devices.oracle = await reference();
    });
    afterAll(() => {
      devices.device.dispose();
      devices.oracle.dispose();
    });

    testMemory(devices);
    testElementwise(devices);
    describe('values and gradients against the reference', () => {
      for (const c of differentiableCases) {
        it(c.name, async () => {
          const baseline = devices.device.memory();
          const actual = await runCase(c, devices.device);
          const expected = await runCase(c, devices.oracle);
          actual.outputs.forEach((y, i) => expect(relativeError(y, expected.outputs[i]), `output ${i}`).toBeLessThan(valueTolerance));
          actual.gradients.forEach((g, i) => expect(relativeError(g, expected.gradients[i]), `gradient of input ${i}`).toBeLessThan(gradientTolerance));
          expect({ ...devices.device.memory(), allocations: 0 }).toEqual({ ...baseline, allocations: 0 });
        });
      }
    });
    testHalfOperands(devices);
    testFusion(devices);
    testCompiledSteps(devices);
    testScanCheckpoints(devices);
  });
}

/** A float64 device that interprets fused kernels: tests the scheduler with no printer involved. */
export function fusingReference(): Promise<Device> {
  return Promise.resolve(new Device(new ReferenceBackend(true)));
}
