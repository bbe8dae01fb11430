import type { Device } from '../device';
import type { HostArray } from '../dtype';
import { grad } from '../autograd/grad';
import { tensor } from '../functions/create';
import { realize } from '../realize-tensors';
import { scope } from '../scope';
import { sizeOf } from '../shape';
import { Tensor } from '../tensor';
import type { DifferentiableCase } from './cases';
import { randomIntegers, randomSource, randomValues } from './random-values';

/** Values and gradients of a case on one device. */
export interface CaseResult {
  readonly outputs: HostArray[];
  readonly gradients: HostArray[];
}

/** Fixed inputs of a case: the same numbers on every device. */
export function caseInputs(c: DifferentiableCase, seed: number): { floats: Float32Array[]; integers: Int32Array[] } {
  const random = randomSource(seed);
  return {
    floats: c.inputs.map(({ shape, low, high }) => randomValues(random, sizeOf(shape), low, high)),
    integers: (c.integers ?? []).map(({ shape, below }) => randomIntegers(random, sizeOf(shape), 0, below)),
  };
}

/** Σ outputs · fixed weights: one number whose gradients exercise every output element differently. */
export function weighted(outputs: readonly Tensor[], device: Device): Tensor {
  const random = randomSource(99);
  return outputs
    .map((y) => y.mul(tensor(randomValues(random, y.size, 0.5, 1.5), { shape: y.shape, device })).sum())
    .reduce((a, b) => a.add(b));
}

function build(c: DifferentiableCase, device: Device, floats: readonly ArrayLike<number>[], integers: readonly Int32Array[]): { x: Tensor[]; outputs: readonly Tensor[] } {
  const x = floats.map((v, i) => tensor(Float64Array.from(v), { shape: c.inputs[i].shape, device }));
  const ids = integers.map((v, i) => tensor(v, { shape: c.integers?.[i].shape ?? [v.length], device }));
  const result = c.run(x, ids);
  return { x, outputs: result instanceof Tensor ? [result] : result };
}

/** Runs the case and its gradients; leaves no memory behind. */
export async function runCase(c: DifferentiableCase, device: Device, seed = 1): Promise<CaseResult> {
  const { floats, integers } = caseInputs(c, seed);
  const { outputs, gradients } = scope(() => {
    const built = build(c, device, floats, integers);
    const g = grad(weighted(built.outputs, device), built.x);
    const kept = built.outputs.map((y) => y.add(0));
    realize(...kept, ...g);
    return { outputs: kept, gradients: g };
  });
  const read = async (list: readonly Tensor[]): Promise<HostArray[]> => {
    const values: HostArray[] = [];
    for (const t of list) {
      values.push(await t.data());
      t.dispose();
    }
    return values;
  };
  return { outputs: await read(outputs), gradients: await read(gradients) };
}

/** d (weighted sum) / d input by central differences: needs a float64 device. */
export async function numericGradients(c: DifferentiableCase, device: Device, seed = 1, h = 1e-5): Promise<Float64Array[]> {
  const { floats, integers } = caseInputs(c, seed);
  const at = floats.map((f) => Float64Array.from(f));
  const value = async (): Promise<number> => {
    const loss = scope(() => weighted(build(c, device, at, integers).outputs, device).realize());
    const v = await loss.item();
    loss.dispose();
    return v;
  };
  const gradients: Float64Array[] = [];
  for (const values of at) {
    const g = new Float64Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const x = values[i];
      values[i] = x + h;
      const up = await value();
      values[i] = x - h;
      const down = await value();
      values[i] = x;
      g[i] = (up - down) / (2 * h);
    }
    gradients.push(g);
  }
  return gradients;
}

/** ‖actual − expected‖ / ‖expected‖ (absolute where expected is zero). NaN wherever one of the two is NaN alone. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i]) || (Number.isNaN(actual[i]) && Number.isNaN(expected[i]))) {
      if (Number.isFinite(expected[i])) norm += expected[i] ** 2;
      continue;
    }
    difference += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return Math.sqrt(difference) / (norm > 0 ? Math.sqrt(norm) : 1);
}
