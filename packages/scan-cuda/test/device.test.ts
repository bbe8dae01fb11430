// On a card: the contract's grid, every kernel, the fixtures. Left out by name where there is none, which includes CI.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, test } from 'vitest';
import { CudaContext, CudaError, CudaScan } from '@mamba-ts/scan-cuda';
import { contractChecks } from '../src/self-check/contract';
import { DeviceScan } from '../src/self-check/device-scan';
import { fixtureChecks } from '../src/self-check/fixtures';
import { largeChecks } from '../src/self-check/large';

const fixtures = fileURLToPath(new URL('../../../../shared/fixtures/selective-scan', import.meta.url));
const [context, reason] = await CudaContext.open().then(
  (opened) => [opened, ''] as const,
  (error: unknown) => [undefined, error instanceof Error ? error.message : String(error)] as const,
);

test('without a card or a driver, the first call says what is missing', async () => {
  if (context !== undefined) {
    await expect(CudaContext.open({ device: 99 })).rejects.toThrow(/there are \d+ devices, device is 99/);
    return;
  }
  await expect(CudaContext.open()).rejects.toThrow(CudaError);
  await expect(CudaContext.open()).rejects.toThrow(/^CUDA: .+ failed: .+/);
});

describe('on a card', () => {
  if (context === undefined) {
    console.log(`left out: everything that runs on a card (${reason})`);
    it.skipIf(true)(`the contract, every kernel, fixtures, large arrays (${reason})`, () => expect.unreachable());
    return;
  }
  if (!existsSync(fixtures)) console.log('left out: cases of a public implementation (no ../shared)');
  const checks = [
    ...contractChecks(context, new CudaScan(context)),
    ...(existsSync(fixtures) ? fixtureChecks(fixtures, new DeviceScan(context)) : []),
    ...largeChecks(context),
  ];
  for (const { name, body } of checks) it(name, body);
});
