import { hippoLegS, hippoLegSModes, s4dInits, s4dModes } from '@mamba-ts/ssm';
import type { Result } from '../family';
import { agreement, exactly, type GoldenCase } from './golden-case';

/* What the host computes in float64 before any device is involved: HiPPO, its modes, and the initial poles of S4D. */

/** All of ω from its positive half: the frequencies come in pairs ±ω. */
function withNegatives(positive: Float64Array): Float64Array {
  return Float64Array.from(
    [...positive]
      .toReversed()
      .map((omega) => -omega)
      .concat(...positive),
  );
}

/** What both of a pair share, for all of them in ascending order of frequency. */
function ofPairs(values: Float64Array): Float64Array {
  return Float64Array.from([...values].toReversed().concat(...values));
}

const squares = (values: Float64Array): Float64Array => values.map((value) => value * value);

export function* checkHippo(golden: GoldenCase): Iterable<Result> {
  const agrees = agreement(golden);
  const size = golden.inputNumber('N');
  const { A, B, P } = hippoLegS(size);
  yield agrees('A', A, golden.output('A').data);
  yield agrees('B', B, golden.output('B').data);
  yield agrees('P', P, golden.output('P').data);
  const rankOne = A.map((value, i) => value + P[Math.floor(i / size)]! * P[i % size]!);
  yield agrees('A + P Pᵀ', rankOne, golden.output('S_normal_part').data);
  const { omega, absB, absP } = hippoLegSModes(size);
  yield agrees('ω', withNegatives(omega), golden.output('eig_imag_ascending').data);
  const real = new Float64Array(size / 2).fill(golden.outputNumber('eig_real_all'));
  yield agrees('real part of the poles', s4dModes('legs', size).re, real);
  yield agrees.each('|P|²', ofPairs(squares(absP)), golden.output('absP2_per_eig_ascending').data);
  yield agrees.each('|B|²', ofPairs(squares(absB)), golden.output('absB2_per_eig_ascending').data);
  const sum = 2 * squares(absP).reduce((total, value) => total + value, 0);
  yield agrees('Σ |P|²', [sum], [golden.outputNumber('sum_absP2')]);
  const isClose = (value: number, i: number): boolean => Math.abs(B[i]! / value - 1) < 1e-12;
  const proportional = P.map((value) => Math.SQRT2 * value).every(isClose);
  yield exactly(golden, 'B = √2 P', proportional, golden.outputFlag('B_equals_sqrt2_times_P'));
}

export function* checkFrequencies(golden: GoldenCase): Iterable<Result> {
  const agrees = agreement(golden);
  const size = golden.inputNumber('N');
  const { omega, absB } = hippoLegSModes(size);
  if (golden.hasOutput('eig_imag_ascending')) {
    yield agrees.each('ω', withNegatives(omega), golden.output('eig_imag_ascending').data);
  }
  if (golden.hasOutput('eig_imag_positive_ascending')) {
    yield agrees.each('ω', omega, golden.output('eig_imag_positive_ascending').data);
  }
  if (golden.hasOutput('absB_positive_ascending')) {
    yield agrees.each('|B|', absB, golden.output('absB_positive_ascending').data);
  }
  if (golden.hasOutput('N2_over_pi')) {
    // The largest frequency as S4D-Inv approximates it, (N/π)(N − 1), has N²/π in it.
    const largest = s4dModes('inv', size).im[0]!;
    yield agrees('N²/π', [(largest * size) / (size - 1)], [golden.outputNumber('N2_over_pi')]);
  }
}

export function* checkInits(golden: GoldenCase): Iterable<Result> {
  const agrees = agreement(golden);
  const size = golden.inputNumber('N');
  for (const init of s4dInits) {
    if (golden.hasOutput(init)) yield agrees.each(init, polesOf(init, size), golden.output(init).data);
  }
}

/** Initial poles, as golden cases tell them: `[re, im]`, the real ones as numbers. */
export function polesOf(init: (typeof s4dInits)[number], dState: number): Float64Array {
  const { re, im } = s4dModes(init, dState);
  return init === 'real' ? re : Float64Array.from([...re].flatMap((value, n) => [value, im[n]!]));
}
