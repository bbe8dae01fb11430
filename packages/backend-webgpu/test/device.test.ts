import { describe, expect, it } from 'vitest';
import { compile, DeviceError, DeviceLostError, gather, matmul, OutOfRangeError, scope, tensor, variable } from '@mamba-ts/tensor';
import type { WebGpuBackend } from '../src/index';
import { webgpu } from '../src/index';
import { missing, open } from './adapter';

describe.skipIf(missing !== null)(`devices${missing === null ? '' : ` (${missing})`}`, () => {
  it('a lost device rejects what is pending and refuses what comes later; a new one works', async () => {
    const device = await open();
    const { gpu } = device.backend as WebGpuBackend;
    const step = compile(() => x.add(1));
    const x = variable(tensor([1, 2], { device }));
    await step().data();
    const pending = x.mul(2).data();
    const outcome = pending.then(
      () => 'resolved',
      (error: unknown) => error,
    );
    gpu.destroy();
    const settled = await outcome;
    // The read may have been served just before.
    if (settled !== 'resolved') expect(settled).toBeInstanceOf(DeviceLostError);
    await gpu.lost;
    await expect(x.mul(3).data()).rejects.toThrow(DeviceLostError);
    expect(() => step()).toThrow(DeviceLostError);
    await expect(device.synchronize()).rejects.toThrow(/lost/);
    expect(() => tensor([1], { device })).toThrow(DeviceLostError);
    const next = await open();
    const y = tensor([1, 2], { device: next });
    expect([...(await y.mul(2).data())]).toEqual([2, 4]);
    next.dispose();
    expect(() => tensor([1], { device: next })).toThrow(DeviceError);
  });

  it('takes a device that the caller has made, and leaves it alive', async () => {
    const first = await open();
    const { gpu } = first.backend as WebGpuBackend;
    const second = await webgpu({ device: gpu });
    const x = tensor([3], { device: second });
    expect(await x.mul(2).item()).toBe(6);
    second.dispose();
    const y = tensor([4], { device: first });
    expect(await y.item()).toBe(4);
    first.dispose();
  });

  it('refuses what is too large by name', async () => {
    const device = await open();
    const { limits } = (device.backend as WebGpuBackend).gpu;
    expect(() => device.allocateBuffer(limits.maxBufferSize * 2)).toThrow(/webgpu: allocate: bytes is \d+, expected at most \d+ \(the device's maxBufferSize\)/);
    const spec = { shape: [1, 2 ** 16, 2 ** 16], dtype: 'float32' } as const;
    const call = { name: 'matmul', attributes: { transposeA: false, transposeB: false }, inputs: [spec, spec], outputs: [spec] } as const;
    expect(device.backend.refuses(call)).toMatch(/\(1, 65536, 65536\) has \d+ bytes, more than one binding may have/);
    device.dispose();
  });

  it('an id out of range keeps later steps of the device from changing variables, until it is read', async () => {
    const device = await open();
    const table = tensor([[1, 2], [3, 4]], { device });
    const [ids, sum] = [[0, 1], [0, 0]].map((v, i) => scope(() => variable(tensor(v, { device, dtype: i === 0 ? 'int32' : 'float32' }))));
    const step = compile(() => {
      sum.assign(sum.add(gather(table, ids).sum(0)));
    });
    step();
    expect([...(await sum.data())]).toEqual([4, 6]);
    ids.write(Int32Array.of(0, 7));
    step();
    ids.write(Int32Array.of(0, 1));
    step();
    await expect(device.synchronize()).rejects.toThrow(OutOfRangeError);
    expect([...(await sum.data())]).toEqual([4, 6]);
    step();
    expect([...(await sum.data())]).toEqual([8, 12]);
    device.dispose();
  });

  it('times steps where the adapter has timestamps, and explains them', async () => {
    const device = await open();
    const a = tensor(new Float32Array(64 * 64).fill(0.5), { shape: [64, 64], device });
    const step = compile(() => matmul(a, a).add(1).sum());
    expect(await step().item()).toBe(64 * 64 * 17);
    const text = step.explain()[0].toString();
    expect(text).toContain('wgsl matmul');
    expect(text).toContain('wgsl reduction');
    device.dispose();
  });
});

if (missing !== null) console.log(`left out: devices (${missing})`);
