import { OutOfRangeError } from '@mamba-ts/tensor';
import { hippoLegSModes } from './hippo';

/**
 * Initial poles of a diagonal SSM (S4D, §4). `real` has no imaginary part; the others keep one of each conjugate pair.
 */
export type S4DInit = 'lin' | 'inv' | 'quad' | 'legs' | 'real';
export const s4dInits: readonly S4DInit[] = ['lin', 'inv', 'quad', 'legs', 'real'];

/** Poles λ = re + i im and input weights B, one entry a mode: dState / 2 of them, or dState for `real`. */
export interface Modes {
  readonly re: Float64Array;
  /** >= 0 */
  readonly im: Float64Array;
  readonly B: Float64Array;
}

/**
 * S4D, eq. 9 and 11, with N = dState, n = 0 … N/2 − 1: lin −½ + iπn, inv −½ + i(N/π)(N/(2n+1) − 1), quad −½ +
 * i(2n+1)²/π, legs −½ + iω (frequencies of HiPPO-LegS, ascending), real −(n+1). (Mamba's text writes lin without π; all
 * code has it.)
 *
 * B is 1, but HiPPO's for legs: there the magnitudes, at most `bClip` (null: as they are). The s4 repository clips the
 * imaginary part of B at 2 in an eigenbasis where B is nearly imaginary; its phase is absorbed by C, whose distribution
 * has none.
 */
export function s4dModes(init: S4DInit, dState: number, bClip: number | null = null): Modes {
  if (init !== 'real' && dState % 2 !== 0)
    throw new OutOfRangeError(
      `S4D: dState is ${dState}, expected an even number (it counts real states, two for each complex one)`,
    );
  const n = Float64Array.from({ length: init === 'real' ? dState : dState / 2 }, (_, i) => i);
  if (init === 'real') return { re: n.map((i) => -(i + 1)), im: n.map(() => 0), B: n.map(() => 1) };
  const re = n.map(() => -0.5);
  if (init === 'legs') {
    const { omega, absB } = hippoLegSModes(dState);
    return { re, im: omega, B: absB.map((b) => (bClip === null ? b : Math.min(b, bClip))) };
  }
  const im: Record<'lin' | 'inv' | 'quad', (i: number) => number> = {
    lin: (i) => Math.PI * i,
    inv: (i) => (dState / Math.PI) * (dState / (2 * i + 1) - 1),
    quad: (i) => (2 * i + 1) ** 2 / Math.PI,
  };
  return { re, im: n.map(im[init]), B: n.map(() => 1) };
}
