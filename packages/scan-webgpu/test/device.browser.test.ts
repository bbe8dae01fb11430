// In headless Chromium: a part of the contract's grid, forward, backward and step.
import { describe, expect, it } from 'vitest';
import { contractChecks } from '../src/self-check/contract';
import { DeviceScan } from '../src/self-check/device-scan';
import { openDevice } from '../src/self-check/open';

describe('in a browser', async () => {
  const { device } = await openDevice(navigator.gpu, 'all');
  const errors: string[] = [];
  device.addEventListener('uncapturederror', ({ error }) => errors.push(error.message));
  for (const { name, body } of contractChecks('Chromium', new DeviceScan(device), ({ seed }) => seed % 21 === 0))
    it(name, body);

  it('has no errors that no scope caught', () => expect(errors).toEqual([]));
});
