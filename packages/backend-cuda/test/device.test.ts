// On a card: conformance suite, kernels at real sizes. Left out by name where there is none, which includes CI.
import * as vitest from 'vitest';
import { cuda } from '@mamba-ts/backend-cuda';
import { DeviceError } from '@mamba-ts/tensor';
import { testBackend } from '@mamba-ts/tensor/conformance';
import { kernelChecks } from '../src/self-check/kernels';

const { describe, expect, it, test } = vitest;
const [device, reason] = await cuda().then(
  (opened) => [opened, ''] as const,
  (error: unknown) => [undefined, error instanceof Error ? error.message : String(error)] as const,
);

test('without a card or a driver, the first call says what is missing', async () => {
  if (device !== undefined) {
    await expect(cuda({ device: 99 })).rejects.toThrow(/there is no CUDA device 99 to use: CUDA: opening a device failed: there are \d+ devices/);
    return;
  }
  await expect(cuda()).rejects.toThrow(DeviceError);
  await expect(cuda()).rejects.toThrow(/^cuda: there is no CUDA device 0 to use: CUDA: .+ failed: .+/);
  await expect(cuda({ memoryLimit: 0 })).rejects.toThrow(/memoryLimit is 0, expected a positive number of bytes/);
});

describe('on a card', () => {
  if (device === undefined) {
    console.log(`left out: everything that runs on a card (${reason})`);
    it.skipIf(true)(`conformance suite, kernels and row routines at real sizes (${reason})`, () => expect.unreachable());
    return;
  }
  testBackend(vitest, 'cuda', () => cuda());
  kernelChecks(vitest, device);
});
