// The float64 reference's gradients against central differences of its forward: every argument, element by element.
import { describe, expect, it } from 'vitest';
import {
  type ScanArgument,
  type ScanInputs,
  type ScanOutputGradients,
  scanArguments,
  selectiveScanBackwardReference,
  selectiveScanReference,
} from '@mamba-ts/scan';
import { type ScanCase, scanCaseData, scanCases } from '@mamba-ts/scan/conformance';

/** Small cases of every kind: the grid's first per combination of number, coefficients and options. */
const cases = scanCases.filter(({ shape }) => shape.batch * shape.length * shape.channels * shape.dState < 1000);

function toFloat64(inputs: ScanInputs): ScanInputs<Float64Array> {
  const entries = Object.entries(inputs).map(([name, value]) => [
    name,
    value instanceof Float32Array ? new Float64Array(value) : value,
  ]);
  return Object.fromEntries(entries) as ScanInputs<Float64Array>;
}

/** L = <gradients.y, y> + <gradients.lastState, lastState>, as a real inner product. */
function loss(
  { shape }: ScanCase,
  inputs: ScanInputs<Float64Array>,
  gradients: ScanOutputGradients,
  deltaSoftplus: boolean,
): number {
  const { y, lastState } = selectiveScanReference(shape, inputs, { deltaSoftplus });
  const dot = (a: Float64Array, b: Float32Array | undefined): number =>
    b === undefined ? 0 : a.reduce((sum, x, i) => sum + x * b[i], 0);
  return dot(y, gradients.y) + dot(lastState, gradients.lastState);
}

/** Derivatives of the loss by every `stride`-th element of one argument. */
function centralDifferences(scanCase: ScanCase, name: ScanArgument, stride: number): Map<number, number> {
  const { inputs, options, gradients } = scanCaseData(scanCase);
  const exact = toFloat64(inputs);
  const values = exact[name] ?? new Float64Array();
  const step = 1e-5;
  const result = new Map<number, number>();
  for (let i = 0; i < values.length; i += stride) {
    const center = values[i];
    const at = (x: number): number => {
      values[i] = x;
      return loss(scanCase, exact, gradients, options.deltaSoftplus ?? false);
    };
    const difference = at(center + step) - at(center - step);
    values[i] = center;
    result.set(i, difference / (2 * step));
  }
  return result;
}

describe('reference gradients are central differences', () => {
  it('on enough cases', () => {
    expect(cases.length).toBeGreaterThan(20);
    expect(new Set(cases.map(({ shape }) => `${shape.complex} ${shape.variableB} ${shape.variableC}`)).size).toBe(8);
    expect(cases.some(({ features }) => features.resets && features.gradLastState && features.initialState)).toBe(true);
  });
  it.each(cases.map((scanCase) => [scanCase.name, scanCase] as const))('%s', (_, scanCase) => {
    const { inputs, options, gradients } = scanCaseData(scanCase);
    const all = selectiveScanBackwardReference(scanCase.shape, inputs, gradients, options);
    for (const name of scanArguments) {
      const actual = all[name];
      expect(actual === undefined).toBe(inputs[name] === undefined);
      if (actual === undefined) continue;
      const scale = Math.max(...actual.map(Math.abs), 1e-3);
      const stride = Math.max(1, Math.floor(actual.length / 12));
      for (const [i, expected] of centralDifferences(scanCase, name, stride)) {
        expect(
          Math.abs(actual[i] - expected) / scale,
          `${name}[${i}]: ${actual[i]}, differences ${expected}`,
        ).toBeLessThan(1e-7);
      }
    }
  });
});

describe('a reference scan over time', () => {
  it('passes the softplus switch at 20 without a jump', () => {
    const shape = {
      batch: 1,
      length: 1,
      channels: 1,
      dState: 1,
      groups: 1,
      complex: false,
      variableB: true,
      variableC: true,
    };
    const gradientAt = (delta: number): number => {
      const one = new Float64Array([1]);
      const inputs = { u: one, delta: new Float64Array([delta]), A: new Float64Array([0]), B: one, C: one };
      return selectiveScanBackwardReference(shape, inputs, { y: one }, { deltaSoftplus: true }).delta[0];
    };
    expect(gradientAt(20)).toBeCloseTo(1, 8);
    expect(gradientAt(20.0001)).toBe(1);
    expect(gradientAt(0)).toBe(0.5);
  });
});
