import { describe, expect, it } from 'vitest';
import { randomSource } from '@mamba-ts/tensor/conformance';
import { type AffineGuard, flatten, identityRows, mergeGuards, reshapeRows } from '../src/compile/index-map';
import { planMemory } from '../src/compile/memory-plan';
import { contiguousStrides, sizeOf } from '../src/shape';

describe('memory plan', () => {
  it('never lets temporaries overlap that are alive together, and comes near the peak', () => {
    const random = randomSource(4);
    for (let round = 0; round < 50; round++) {
      const lifetimes = Array.from({ length: 60 }, () => {
        const first = Math.floor(random() * 80);
        return { bytes: Math.floor(random() * 5000), first, last: first + Math.floor(random() * 15) };
      });
      const { offsets, bytes } = planMemory(lifetimes);
      for (let i = 0; i < lifetimes.length; i++) {
        const a = lifetimes[i];
        expect(offsets[i] % 64).toBe(0);
        expect(offsets[i] + a.bytes).toBeLessThanOrEqual(bytes);
        for (let j = 0; j < i; j++) {
          const b = lifetimes[j];
          const together = a.first <= b.last && b.first <= a.last && a.bytes > 0 && b.bytes > 0;
          if (together) expect(offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i]).toBe(true);
        }
      }
      let peak = 0;
      for (let t = 0; t < 100; t++) {
        peak = Math.max(peak, lifetimes.reduce((n, l) => n + (l.first <= t && t <= l.last ? Math.ceil(l.bytes / 64) * 64 : 0), 0));
      }
      expect(bytes).toBeGreaterThanOrEqual(peak);
      expect(bytes).toBeLessThanOrEqual(peak * 1.35);
    }
  });
});

describe('index maps of reshapes', () => {
  /** Every loop point must name the same element before and after. */
  function check(source: number[], target: number[]): boolean {
    const domain = [...source];
    let rows = identityRows(domain.length, 0, domain.length);
    for (;;) {
      const result = reshapeRows(rows, source, target, domain);
      if (result === null) return false;
      if (Array.isArray(result)) {
        const before = flatten(rows, source, domain.length);
        const after = flatten(result, target, domain.length);
        expect(after.offset).toBe(before.offset);
        domain.forEach((n, d) => n > 1 && expect(after.strides[d]).toBe(before.strides[d]));
        result.forEach((row, axis) => {
          const largest = row.offset + row.strides.reduce((s, c, d) => s + c * (domain[d] - 1), 0);
          expect(largest).toBeLessThan(Math.max(target[axis], 1));
        });
        return true;
      }
      const { loop, inner } = result;
      rows = rows.map((r) => {
        const strides = [...r.strides];
        strides.splice(loop, 1, strides[loop] * inner, strides[loop]);
        return { offset: r.offset, strides };
      });
      domain.splice(loop, 1, domain[loop] / inner, inner);
    }
  }

  it('merging and splitting of whole axes is always affine', () => {
    for (const [source, target] of [
      [[6, 4], [24]], [[24], [6, 4]], [[2, 3, 4], [6, 4]], [[6, 4], [2, 3, 4]], [[4, 6], [8, 3]], [[1, 5, 1], [5]], [[5], [1, 5, 1]], [[2, 1, 6], [4, 1, 3]], [[12], [2, 2, 3]], [[1], []], [[], [1, 1]],
    ]) expect(check(source, target), `${source} → ${target}`).toBe(true);
  });

  it('random factorisations', () => {
    const random = randomSource(8);
    const shapeOf = (factors: number[]): number[] => {
      const shape: number[] = [];
      for (const f of factors) {
        if (shape.length > 0 && random() < 0.5) shape[shape.length - 1] *= f;
        else shape.push(f);
        if (random() < 0.2) shape.push(1);
      }
      return shape;
    };
    for (let round = 0; round < 300; round++) {
      const factors = Array.from({ length: 4 }, () => 2 + Math.floor(random() * 3));
      const [source, target] = [shapeOf(factors), shapeOf(factors)];
      expect(sizeOf(source)).toBe(sizeOf(target));
      expect(check(source, target), `${source} → ${target}`).toBe(true);
    }
  });

  it('gives up where a carry is possible', () => {
    // Elements 1 … 4 of a (5) read as (2, 3): the second index would have to wrap.
    const row = { offset: 1, strides: [1] };
    expect(reshapeRows([row], [6], [2, 3], [4])).toBe(null);
    expect(contiguousStrides([2, 3])).toEqual([3, 1]);
  });
});

describe('guards of loads', () => {
  it('hold where they did, one for each function of the loops', () => {
    const random = randomSource(8);
    const integer = (from: number, to: number): number => from + Math.floor(random() * (to - from + 1));
    let dropped = 0;
    for (let round = 0; round < 500; round++) {
      const domain = [integer(1, 4), integer(1, 5)];
      const patterns = [[0, 1], [1, 0], [2, -1], [0, 0]];
      const guards = Array.from({ length: integer(0, 6) }, (): AffineGuard => ({ offset: integer(-3, 3), strides: [...patterns[integer(0, 3)]], size: integer(0, 8) }));
      const merged = mergeGuards(guards, domain);
      const hold = (list: readonly AffineGuard[], at: readonly number[]): boolean =>
        list.every(({ offset, strides, size }) => {
          const value = strides.reduce((sum, s, d) => sum + s * at[d], offset);
          return value >= 0 && value < size;
        });
      for (let i = 0; i < domain[0]; i++) for (let j = 0; j < domain[1]; j++) expect(hold(merged, [i, j])).toBe(hold(guards, [i, j]));
      expect(new Set(merged.map((g) => g.strides.map((s, d) => (domain[d] === 1 ? 0 : s)).join())).size).toBe(merged.length);
      dropped += guards.length - merged.length;
    }
    expect(dropped).toBeGreaterThan(500);
  });
});
