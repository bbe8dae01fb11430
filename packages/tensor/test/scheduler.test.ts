import * as vitest from 'vitest';
import { differentiableCases, fusingReference, numericGradients, relativeError, runCase, testBackend } from '@mamba-ts/tensor/conformance';
import { reference } from '@mamba-ts/tensor';

const { describe, expect, it } = vitest;

describe('gradients in float64 against central differences', () => {
  for (const c of differentiableCases) {
    it(c.name, async () => {
      const device = await reference();
      const { gradients } = await runCase(c, device);
      const numeric = await numericGradients(c, device);
      // stopGradient, bool casts and custom gradients are covered by cases whose numeric derivative agrees or by the check below.
      if (c.name === 'stopGradient') return expect(relativeError(gradients[0], numeric[0])).toBeGreaterThan(1e-3);
      gradients.forEach((g, i) => expect(relativeError(g, numeric[i]), `input ${i}`).toBeLessThan(1e-6));
    });
  }
});

testBackend(vitest, 'reference, node by node', reference);
testBackend(vitest, 'reference, fused kernels', fusingReference);
