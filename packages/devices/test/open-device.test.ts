import { describe, expect, it } from 'vitest';
import { type DeviceName, deviceNames, isDeviceName, openDevice } from '@mamba-ts/devices';
import { DeviceError, tensor } from '@mamba-ts/tensor';

describe('openDevice', () => {
  it.each(['cpu', 'reference'] as const)('opens %s', async (name) => {
    using device = await openDevice(name, { threads: 1 });
    expect(device.name).toBe(name);
    using sum = tensor([1, 2, 3], { device }).sum();
    expect(await sum.item()).toBe(6);
  });

  it('auto opens what is there', async () => {
    using device = await openDevice('auto', { threads: 1 });
    expect(deviceNames).toContain(device.name);
  });

  it.each(['tpu', 'constructor', '__proto__', ''])('%j is refused by name', async (name) => {
    expect(isDeviceName(name)).toBe(false);
    await expect(openDevice(name as DeviceName)).rejects.toThrow(DeviceError);
    await expect(openDevice(name as DeviceName)).rejects.toThrow(/expected auto, cpu, webgpu, cuda, reference/);
  });
});
