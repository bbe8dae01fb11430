import { describe, expect, it } from './runner';
import type { Device } from '../device';
import { tensor } from '../functions/create';
import { where } from '../functions/elementwise';
import { realize } from '../realize-tensors';
import { scope } from '../scope';
import { sizeOf } from '../shape';
import type { Tensor } from '../tensor';
import { relativeError } from './compare';
import type { Devices } from './index';
import { randomSource, randomValues } from './random-values';

const rounds = 60;

/** A random graph of elementwise ops, views and reductions over a few inputs; several values of it are asked for. */
function randomGraph(seed: number, device: Device): Tensor[] {
  const random = randomSource(seed);
  const int = (n: number): number => Math.floor(random() * n);
  const sizes = [1, 2, 3, 4, 5, 6, 8];
  const shape = Array.from({ length: 1 + int(3) }, () => sizes[int(sizes.length)]);
  const make = (s: readonly number[]): Tensor => tensor(randomValues(random, sizeOf(s), 0.2, 1.2), { shape: s, device });
  const pool: Tensor[] = [make(shape), make(shape), make(shape.map((d, i) => (i % 2 ? 1 : d)))];
  const any = (): Tensor => pool[int(pool.length)];
  const axisOf = (t: Tensor): number => int(t.shape.length);
  for (let n = 0; n < 14; n++) {
    const x = any();
    const rank = x.shape.length;
    const axis = rank > 0 ? axisOf(x) : 0;
    const size = rank > 0 ? x.shape[axis] : 1;
    let y: Tensor = x;
    switch (int(rank > 0 ? 12 : 3)) {
      case 0: y = x.mul(0.5).exp().mul(0.5); break;
      case 1: y = x.add(0.3).sqrt(); break;
      case 2: y = x.sigmoid().add(0.2); break;
      case 3: {
        const mate = pool.filter((t) => t.shape.length <= rank && t.shape.every((d, i) => d === x.shape[rank - t.shape.length + i] || d === 1));
        y = x.mul(mate[int(mate.length)]);
        break;
      }
      case 4: y = x.sum(axis, true).mul(1 / size); break;
      case 5: y = x.max(axis); break;
      case 6: y = x.transpose(axis, axisOf(x)); break;
      case 7: y = x.reshape(sizeOf(x.shape)); break;
      case 8: y = size > 1 ? x.slice(axis, 1, size, 1 + int(2)) : x.pad(axis, 1, 2); break;
      case 9: y = x.flip(axis).add(x); break;
      case 10: y = size % 2 === 0 ? x.reshape(...x.shape.slice(0, axis), 2, size / 2, ...x.shape.slice(axis + 1)) : x.pad(axis, 0, 1); break;
      default: y = where(x.less(0.6), x, x.mul(0.5).add(0.3)); break;
    }
    if (y.shape.length <= 5 && y.size <= 4000) pool.push(y);
  }
  return pool.slice(3).filter((_, i) => i % 3 === 0 || i > pool.length - 6);
}

/** Random graphs give the same values fused as node by node in float64. */
export function testFusion(devices: Devices): void {
  describe('fusion', () => {
    it(`${rounds} random graphs of views, reductions and elementwise ops`, async () => {
      for (let seed = 1; seed <= rounds; seed++) {
        const run = async (device: Device): Promise<{ shape: string; values: ArrayLike<number> }[]> => {
          const out = scope(() => {
            const values = randomGraph(seed, device);
            realize(...values);
            return values;
          });
          const read = [];
          for (const t of out) read.push({ shape: t.shape.join(), values: await t.data() });
          for (const t of out) t.dispose();
          return read;
        };
        const baseline = devices.device.memory().buffers;
        const actual = await run(devices.device);
        const expected = await run(devices.oracle);
        expect(actual.map((a) => a.shape)).toEqual(expected.map((e) => e.shape));
        actual.forEach((a, i) => expect(relativeError(a.values, expected[i].values), `graph ${seed}, value ${i} of shape (${a.shape})`).toBeLessThan(5e-6));
        expect(devices.device.memory().buffers).toBe(baseline);
      }
    });
  });
}
