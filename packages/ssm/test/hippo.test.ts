import { describe, expect, it } from 'vitest';
import { hermitianEigen, hippoLegS, hippoLegSModes, s4dModes } from '../src/index';
import { expectNumbers, golden, missing, type Nested } from './golden';

describe('hermitianEigen', () => {
  it.each([1, 2, 3, 8, 17])('reconstructs a random Hermitian matrix of size %i from a unitary V', (n) => {
    let seed = n;
    const random = (): number => ((seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31) * 2 - 1;
    const re = new Float64Array(n * n);
    const im = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = i; j < n; j++) {
        re[i * n + j] = re[j * n + i] = random();
        im[i * n + j] = i === j ? 0 : random();
        im[j * n + i] = -im[i * n + j];
      }
    }
    const { values, vectors } = hermitianEigen({ size: n, re, im });
    for (let i = 1; i < n; i++) expect(values[i]).toBeGreaterThanOrEqual(values[i - 1]);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let [aRe, aIm, uRe, uIm] = [0, 0, 0, 0];
        for (let k = 0; k < n; k++) {
          const [x, y] = [i * n + k, j * n + k];
          const productRe = vectors.re[x] * vectors.re[y] + vectors.im[x] * vectors.im[y];
          const productIm = vectors.im[x] * vectors.re[y] - vectors.re[x] * vectors.im[y];
          aRe += values[k] * productRe;
          aIm += values[k] * productIm;
          uRe += productRe;
          uIm += productIm;
        }
        expect(Math.hypot(aRe - re[i * n + j], aIm - im[i * n + j])).toBeLessThan(1e-13 * n);
        expect(Math.hypot(uRe - (i === j ? 1 : 0), uIm)).toBeLessThan(1e-13 * n);
      }
    }
  });
});

describe('HiPPO-LegS', () => {
  for (const N of [4, 8]) {
    it.skipIf(missing(`hippo_legs_nplr_N${N}`))(
      `hippo_legs_nplr_N${N}: matrices and the normal plus low rank form`,
      () => {
        const { outputs } = golden<
          unknown,
          {
            A: Nested;
            B: Nested;
            P: Nested;
            eig_imag_ascending: number[];
            absP2_per_eig_ascending: number[];
            absB2_per_eig_ascending: number[];
          }
        >(`hippo_legs_nplr_N${N}`);
        const { A, B, P } = hippoLegS(N);
        expectNumbers(A, outputs.A, 1e-15);
        expectNumbers(B, outputs.B, 1e-15);
        expectNumbers(P, outputs.P, 1e-15);
        const { omega, absB, absP } = hippoLegSModes(N);
        expectNumbers(omega, outputs.eig_imag_ascending.slice(N / 2), 1e-12);
        expectNumbers(
          absP.map((p) => p * p),
          outputs.absP2_per_eig_ascending.slice(N / 2),
          1e-12,
        );
        expectNumbers(
          absB.map((b) => b * b),
          outputs.absB2_per_eig_ascending.slice(N / 2),
          1e-12,
        );
      },
    );
  }
  it.skipIf(missing('hippo_legs_eig_imag_N16'))('hippo_legs_eig_imag_N16: frequencies', () => {
    const { outputs } = golden<unknown, { eig_imag_ascending: number[] }>('hippo_legs_eig_imag_N16');
    outputs.eig_imag_ascending.slice(8).forEach((w, i) => expect(hippoLegSModes(16).omega[i] / w).toBeCloseTo(1, 12));
  });
  it.skipIf(missing('hippo_legs_eig_imag_N64'))('hippo_legs_eig_imag_N64: frequencies, the smallest too, and B', () => {
    const { outputs } = golden<unknown, { eig_imag_positive_ascending: number[]; absB_positive_ascending: number[] }>(
      'hippo_legs_eig_imag_N64',
    );
    const { omega, absB } = hippoLegSModes(64);
    outputs.eig_imag_positive_ascending.forEach((w, i) => expect(Math.abs(omega[i] / w - 1)).toBeLessThan(1e-10));
    outputs.absB_positive_ascending.forEach((b, i) => expect(Math.abs(absB[i] / b - 1)).toBeLessThan(1e-10));
  });
});

describe('S4D initialisations', () => {
  it.skipIf(missing('s4d_inits_N8'))('s4d_inits_N8: poles', () => {
    const { outputs } = golden<unknown, Record<'lin' | 'inv' | 'quad' | 'legs' | 'real', Nested>>('s4d_inits_N8');
    for (const init of ['lin', 'inv', 'quad', 'legs'] as const) {
      const { re, im } = s4dModes(init, 8);
      expectNumbers(
        Array.from(re).flatMap((r, i) => [r, im[i]]),
        outputs[init],
        1e-12,
      );
    }
    expectNumbers(s4dModes('real', 8).re, outputs.real, 1e-15);
  });
  it('clips B of legs, and only that', () => {
    const free = s4dModes('legs', 16).B;
    expect(Math.max(...free)).toBeGreaterThan(2);
    expect(Array.from(s4dModes('legs', 16, 2).B)).toEqual(Array.from(free, (b) => Math.min(b, 2)));
    expect(Array.from(s4dModes('inv', 8, 0.5).B)).toEqual([1, 1, 1, 1]);
  });
  it('refuses half a conjugate pair', () => {
    expect(() => s4dModes('lin', 7)).toThrow(/dState is 7, expected an even number/);
  });
});
