import type { Module } from '@mamba-ts/nn';
import type { SequenceLayer } from '@mamba-ts/ssm';
import { grad, type Tensor } from '@mamba-ts/tensor';
import { compared, type Result } from './family';
import type { FixtureCase } from './fixture-case';
import { relativeError } from './measure';
import { evaluate, type ParityDevice, upload } from './parity-device';
import { runSteps } from './run-steps';

/* What fixtures of a layer have in common: `param.…`, `in.x`, `out`, `grad_out` and `grad.…` of Σ out · grad_out. */

const TOLERANCE = 1e-4;
const STEP_TOLERANCE = 1e-3;

/** What a check of a layer may add. */
export interface LayerCheck {
  /** More tensors of the fixture, by name, and what the layer has for them. */
  readonly also?: () => Record<string, Tensor>;
  /** Does the layer have steps? Then they are held to `out_step`, or without one to `out`. */
  readonly steps: boolean;
}

/** Compares a layer with its fixture, after writing the fixture's parameters into it. */
export function checkLayer(
  fixture: FixtureCase,
  on: ParityDevice,
  layer: Module & SequenceLayer,
  { also, steps }: LayerCheck,
): Result[] {
  load(fixture, layer);
  const compare = (quantity: string, actual: ArrayLike<number>, tensor: string, tolerance = TOLERANCE): Result =>
    compared(fixture.name, `${quantity} (${on.name})`, relativeError(actual, fixture.get(tensor).data), tolerance);
  const x = fixture.get('in.x');
  const parameters = layer.parameters();
  const paths = ['x', ...parameters.keys()];
  const found: Record<string, Float64Array> = evaluate(() => {
    const input = upload(on, x);
    const y = layer.forward(input);
    const loss = y.mul(upload(on, fixture.get('grad_out'))).sum();
    const gradients = grad(loss, [input, ...parameters.values()]);
    return { out: y, ...also?.(), ...Object.fromEntries(paths.map((path, i) => [`grad.${path}`, gradients[i]!])) };
  });
  const stored = fixture.namesUnder('grad.');
  const forgotten = paths.filter((path) => !stored.includes(path));
  if (forgotten.length > 0) throw new Error(`the fixture has no gradient of ${forgotten.join(', ')}`);
  const results = Object.keys(found)
    .filter((name) => !name.startsWith('grad.'))
    .map((name) => compare(name, found[name]!, name));
  if (steps) {
    const expected = fixture.find('out_step') === undefined ? 'out' : 'out_step';
    results.push(compare('out, stepped', runSteps(layer, on, x).y, expected, STEP_TOLERANCE));
  }
  for (const path of stored) results.push(compare(`grad ${path}`, found[`grad.${path}`] ?? [], `grad.${path}`));
  return results;
}

/** Writes the fixture's parameters into a layer: all that both have, and nothing else. */
function load(fixture: FixtureCase, layer: Module): void {
  const parameters = layer.stateDict();
  const stored = fixture.namesUnder('param.');
  const missing = [...parameters.keys()].filter((path) => !stored.includes(path));
  if (missing.length > 0) throw new Error(`the fixture has no parameter ${missing.join(', ')}`);
  for (const path of stored) {
    const parameter = parameters.get(path);
    if (parameter === undefined) throw new Error(`the layer has no parameter ${path}`);
    const { data, shape } = fixture.get(`param.${path}`);
    if (shape.join() !== parameter.shape.join()) {
      throw new Error(`param.${path} has shape (${shape.join(', ')}), the layer's is (${parameter.shape.join(', ')})`);
    }
    parameter.write(parameter.dtype === 'int32' ? Int32Array.from(data) : data);
  }
}
