import { discretizations, discretize } from '@mamba-ts/ssm';
import { Complex, ones, selectiveScan, type Tensor, zeros } from '@mamba-ts/tensor';
import type { Result } from '../family';
import { evaluate, type ParityDevice, upload } from '../parity-device';
import { agreement, type GoldenCase, type NestedNumbers } from './golden-case';

/** Ā and B̄/B of poles λ at steps Δ, as [row][2]. */
interface Discrete {
  readonly dA: Float64Array;
  readonly dB_over_B: Float64Array;
}

/** Every row is a pole and a step, with Ā and B̄/B by several rules. Rows differ by many powers of ten. */
export function* checkDiscretization(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const rows = golden.outputLength('rows');
  const lambda = column(golden, rows, 'lambda');
  const steps = column(golden, rows, 'dt');
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const pole = (): Complex => Complex.fromPairs(upload(on, lambda, rows, 2));
    const dt = (): Tensor => upload(on, steps, rows);
    const found: Record<string, Discrete> = { mamba: evaluate(() => byScan(pole(), dt())) };
    for (const kind of discretizations) {
      found[kind] = evaluate(() => {
        const { logA, inputScale } = discretize(pole(), dt(), kind);
        return { dA: logA.exp().toPairs(), dB_over_B: inputScale.toPairs() };
      });
    }
    for (const [rule, { dA, dB_over_B }] of Object.entries(found)) {
      yield agrees.each(`${rule} dA`, dA, column(golden, rows, rule, 'dA').data, 2);
      yield agrees.each(`${rule} dB/B`, dB_over_B, column(golden, rows, rule, 'dB_over_B').data, 2);
    }
  }
}

/** One output of all rows. */
function column(golden: GoldenCase, rows: number, ...path: readonly string[]): NestedNumbers {
  const cells = Array.from({ length: rows }, (_, row) => golden.output('rows', row, ...path));
  return { data: Float64Array.from(cells.flatMap(({ data }) => [...data])), shape: [rows, ...cells[0]!.shape] };
}

/** Mamba's rule, which is the scan's own: one step leaves Ā of a state of 1 without input, and B̄ of an input of 1. */
function byScan(lambda: Complex, dt: Tensor): Record<keyof Discrete, Tensor> {
  const [rows] = dt.shape as [number];
  const { device } = dt;
  const one = new Complex(ones([rows, 1], { device }), zeros([rows, 1], { device })).toPairs();
  const scan = (u: Tensor, initialState: Tensor): Tensor =>
    selectiveScan({
      u,
      delta: dt.reshape(1, 1, rows),
      A: lambda.reshape(rows, 1).toPairs(),
      B: one,
      C: one,
      initialState,
    }).lastState.reshape(rows, 2);
  const state = one.reshape(1, rows, 1, 2);
  return {
    dA: scan(zeros([1, 1, rows], { device }), state),
    dB_over_B: scan(ones([1, 1, rows], { device }), zeros(state.shape, { device })),
  };
}
