import { afterAll, describe, expect, test } from 'vitest';
import type { CpuBackend } from '../../src/cpu/cpu-backend';
import { bareBackend, interpreted, randomSource, runOn } from './bare-backend';
import { randomKernel, type RandomKernel } from '../../src/conformance/random-kernel';

const unshared = await bareBackend({ threads: 1, relaxed: false });
const relaxed = await bareBackend({ threads: 1 });
const threaded = [await bareBackend({ threads: 2 }, 0), await bareBackend({ threads: 3 }, 0)];
afterAll(() => [unshared, relaxed, ...threaded].forEach((b) => b.dispose()));

/** Compares every buffer with the interpreter; gives the raw results. */
function check(
  backend: CpuBackend,
  { kernel, buffers, tolerance }: RandomKernel,
  want: readonly ArrayLike<number>[],
  seed: number,
): number[][] {
  const got = runOn(backend, kernel, buffers);
  got.forEach((values, b) => {
    for (let i = 0; i < values.length; i++) {
      const distance = Math.abs(values[i] - want[b][i]);
      const close =
        distance <= tolerance[b] || values[i] === want[b][i] || (Number.isNaN(values[i]) && Number.isNaN(want[b][i]));
      if (!close) {
        expect.fail(
          `seed ${seed}, ${backend.description}: buffer ${b}[${i}] is ${values[i]}, expected ${want[b][i]} ± ${tolerance[b]}\n${JSON.stringify(kernel)}`,
        );
      }
    }
  });
  return got.map((v) => [...v]);
}

describe.each([
  ['small loops', [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 16, 17], 1, 800],
  ['large loops', [1, 2, 3, 5, 8, 16, 17, 64, 100, 255, 1024, 5000, 40000], 1_000_000, 300],
] as const)('random kernels, %s', (_, sizes, firstSeed, count) => {
  test('agree with the float64 interpreter, bit for bit the same on 1, 2 and 3 threads', () => {
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      const random = randomKernel(randomSource(seed), sizes);
      const want = interpreted(random.kernel, random.buffers);
      check(unshared, random, want, seed);
      const one = check(relaxed, random, want, seed);
      for (const backend of threaded) expect(check(backend, random, want, seed), `seed ${seed}`).toEqual(one);
    }
  }, 120_000);
});
