import * as vitest from 'vitest';
import { testBackend } from '@mamba-ts/tensor/conformance';
import { missing, open } from './adapter';

if (missing === null) {
  testBackend(vitest, 'webgpu', open);
} else {
  console.log(`left out: the conformance suite (${missing})`);
  vitest.it.skipIf(true)(`the conformance suite (${missing})`, () => vitest.expect.unreachable());
}
