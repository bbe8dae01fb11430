import { describe, expect, it } from './runner';
import type { Devices } from './index';
import { DeviceError, DisposedError, DTypeError, OutOfRangeError, ShapeError } from '../errors';
import { tensor, zeros } from '../functions/create';
import { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from '../half';
import { scope } from '../scope';
import { matmul } from '../functions/routines';
import { variable } from '../variable';

/** Uploads, downloads, lifetimes, and what bad input does. */
export function testMemory(devices: Devices): void {
  describe('memory', () => {
    const values = [0, -0, 1, -1.5, 3.14, 1e-3, 65504, 1e5, -7e-6, 2 ** -24, 1e30, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];

    it('round-trips float32, int32 and bool', async () => {
      const { device } = devices;
      const f = tensor(values, { device });
      expect(await f.data()).toEqual(device.name === 'reference' ? Float64Array.from(values) : Float32Array.from(values));
      const i = tensor([0, -5, 2 ** 31 - 1, -(2 ** 31)], { device, dtype: 'int32' });
      expect([...(await i.data())]).toEqual([0, -5, 2 ** 31 - 1, -(2 ** 31)]);
      const b = tensor([true, false, true], { device });
      expect(await b.data()).toEqual(Uint8Array.of(1, 0, 1));
      for (const t of [f, i, b]) t.dispose();
    });

    it('rounds half-precision storage to nearest even, uploaded and computed', async () => {
      const { device } = devices;
      for (const [dtype, round] of [['bfloat16', (x: number) => fromBFloat16(toBFloat16(x))], ['float16', (x: number) => fromFloat16(toFloat16(x))]] as const) {
        const expected = values.map((v) => Math.fround(round(Math.fround(v))));
        const uploaded = tensor(Float32Array.from(values), { device, dtype });
        const source = tensor(Float32Array.from(values), { device });
        const computed = source.cast(dtype);
        for (const t of [uploaded, computed]) expect(Array.from(await t.data())).toEqual(expected);
        const sum = uploaded.add(uploaded);
        expect(sum.dtype).toBe(dtype);
        expect(Number((await sum.data())[3])).toBe(-3);
        for (const t of [uploaded, source, computed, sum]) t.dispose();
      }
    });

    it('holds tensors of no elements', async () => {
      const { device } = devices;
      const empty = zeros([0, 3], { device });
      expect((await empty.add(1).data()).length).toBe(0);
      expect(await empty.sum().item()).toBe(0);
      const product = matmul(zeros([2, 0], { device }), zeros([0, 3], { device }));
      expect([...(await product.data())]).toEqual([0, 0, 0, 0, 0, 0]);
      for (const t of [empty, product]) t.dispose();
    });

    it('frees by dispose, using and scope, and keeps what pending values need', async () => {
      const { device } = devices;
      const before = device.memory();
      const a = tensor([1, 2, 3], { device });
      const later = a.mul(2).add(1);
      a.dispose();
      expect([...(await later.data())]).toEqual([3, 5, 7]);
      later.dispose();
      const kept = scope(() => {
        const x = tensor([1, 2], { device });
        x.exp().realize();
        return { y: [x.add(1)] };
      });
      expect([...(await kept.y[0].data())]).toEqual([2, 3]);
      kept.y[0].dispose();
      kept.y[0].dispose();
      expect(device.memory().buffers).toBe(before.buffers);
      expect(device.memory().bytes).toBe(before.bytes);
      expect(() => scope(() => Promise.resolve(1))).toThrow(/scopes are synchronous/);
    });

    it('temporaries of a computed value pin nothing', async () => {
      const { device } = devices;
      const before = device.memory().buffers;
      const a = tensor([1, 2, 3], { device });
      const forgotten = a.add(1);
      const b = forgotten.mul(2);
      await b.data();
      a.dispose();
      b.dispose();
      expect(device.memory().buffers).toBe(before);
      await expect(forgotten.data()).rejects.toThrow(DisposedError);
    });

    it('results that share a computation can be read one by one', async () => {
      const { device } = devices;
      const before = device.memory().buffers;
      const [a, b] = scope(() => {
        const shared = tensor([1, 2], { device }).exp().mul(2);
        return [shared.add(1), shared.mul(3).sum()];
      });
      expect((await a.data())[1]).toBeCloseTo(2 * Math.exp(2) + 1, 4);
      a.dispose();
      expect(await b.item()).toBeCloseTo(6 * (Math.exp(1) + Math.exp(2)), 3);
      b.dispose();
      expect(device.memory().buffers).toBe(before);
    });

    it('a pending value sees a variable as it was', async () => {
      const { device } = devices;
      const before = device.memory().buffers;
      const initial = tensor([1, 2], { device });
      const v = variable(initial);
      const doubled = v.mul(2);
      const copy = v.add(0);
      v.assign(v.add(10));
      const written = v.mul(1);
      v.write(Float32Array.of(7, 8));
      expect([...(await doubled.data())]).toEqual([2, 4]);
      expect([...(await copy.data())]).toEqual([1, 2]);
      expect([...(await written.data())]).toEqual([11, 12]);
      expect([...(await v.data())]).toEqual([7, 8]);
      for (const t of [initial, v, doubled, copy, written]) t.dispose();
      expect(device.memory().buffers).toBe(before);
    });

    it('names argument, expected and got', async () => {
      const { device, oracle } = devices;
      const a = zeros([2, 3], { device });
      const v = variable(a);
      expect(() => a.add(zeros([4], { device }))).toThrow(new ShapeError('add: shapes (2, 3) and (4) do not broadcast (axis -1: 3 and 4)'));
      expect(() => matmul(a, a)).toThrow(new ShapeError('matmul: inner sizes differ: a (2, 3) has 3, b (2, 3) has 2'));
      expect(() => a.reshape(4)).toThrow(/reshape: x has shape \(2, 3\) \(6 elements\), which does not fit \(4\)/);
      expect(() => a.and(a)).toThrow(DTypeError);
      expect(() => a.add(zeros([2, 3], { device: oracle }))).toThrow(DeviceError);
      expect(() => a.sum(2)).toThrow(/sum: axis is 2, expected an integer in \[-2, 1\]/);
      expect(() => tensor([1, Number.NaN], { device, dtype: 'int32' })).toThrow(new OutOfRangeError('tensor: values has NaN at flat position 1, expected an int32'));
      expect(() => tensor([[1, 2], [3]], { device })).toThrow(/ragged/);
      expect(() => tensor([1, 2, 3], { device, shape: [2, 2] })).toThrow(/values has 3 elements, expected 4 for shape \(2, 2\)/);
      expect(() => v.write(Float32Array.of(1))).toThrow(/write: values has 1 elements, expected 6/);
      expect(() => v.write(new Int32Array(6))).toThrow(DTypeError);
      expect(() => v.assign(zeros([3], { device }))).toThrow(/assign: value has shape \(3\), expected \(2, 3\)/);
      a.dispose();
      expect(() => a.add(1)).toThrow(DisposedError);
      v.dispose();
    });
  });
}
