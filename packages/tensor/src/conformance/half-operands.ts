import { describe, expect, it } from './runner';
import { grad } from '../autograd/grad';
import { compile } from '../compile/compile';
import type { Device } from '../device';
import type { DType, HostArray } from '../dtype';
import { tensor } from '../functions/create';
import { gather, matmul, selectiveScan, stateUpdate } from '../functions/routines';
import { realize } from '../realize-tensors';
import { scope } from '../scope';
import { Tensor } from '../tensor';
import { variable } from '../variable';
import { type DifferentiableCase, input, scanInputs } from './cases';
import { caseInputs, relativeError, weighted } from './compare';
import type { Devices } from './index';

/** A routine some of whose float inputs are stored in half precision. */
interface HalfCase extends DifferentiableCase {
  /** Storage type of each float input. */
  readonly dtypes: readonly DType[];
}

const f32 = 'float32';
const halves = ['bfloat16', 'float16'] as const;

/** [m, k, n]: a vector by a matrix, few rows, a product in tiles, one column; odd in every size. */
const products: readonly (readonly [number, number, number])[] = [[1, 37, 21], [3, 19, 9], [33, 41, 27], [14, 67, 1], [2, 35, 50]];

function matmulCase([m, k, n]: readonly [number, number, number], dtypes: readonly [DType, DType], transposeA: boolean, transposeB: boolean): HalfCase {
  const marks = `${transposeA ? ', a transposed' : ''}${transposeB ? ', b transposed' : ''}`;
  return {
    name: `matmul (${m}, ${k}) by (${k}, ${n}), a ${dtypes[0]}, b ${dtypes[1]}${marks}`,
    inputs: [input(-1, 1, ...(transposeA ? [k, m] : [m, k])), input(-1, 1, ...(transposeB ? [n, k] : [k, n]))],
    dtypes,
    run: ([a, b]) => matmul(a, b, { transposeA, transposeB }),
  };
}

const matmulCases: HalfCase[] = halves.flatMap((half) => [
  ...products.flatMap((sizes) =>
    [false, true].flatMap((transposeA) => [false, true].map((transposeB) => matmulCase(sizes, [f32, half], transposeA, transposeB))),
  ),
  matmulCase([5, 13, 7], [half, f32], false, true),
  matmulCase([33, 41, 27], [half, f32], true, false),
  matmulCase([5, 13, 7], [half, half], false, true),
  matmulCase([17, 40, 24], [half, half], false, false),
  { name: `matmul, batched, b ${half}`, inputs: [input(-1, 1, 3, 4, 9), input(-1, 1, 3, 9, 5)], dtypes: [f32, half], run: ([a, b]) => matmul(a, b) },
  { name: `matmul, many rows by one ${half} matrix`, inputs: [input(-1, 1, 2, 9, 16), input(-1, 1, 24, 16)], dtypes: [f32, half], run: ([a, b]) => matmul(a, b, { transposeB: true }) },
  { name: `matmul, a computed ${half} part of a float32 value`, inputs: [input(-1, 1, 12, 40), input(-1, 1, 9, 16)], dtypes: [f32, half], run: ([a, b]) => matmul(a.slice(1, 8, 24).cast(half), b, { transposeB: true }) },
  { name: `matmul, a computed ${half} operand`, inputs: [input(-1, 1, 4, 9), input(-1, 1, 9, 5)], dtypes: [f32, f32], run: ([a, b]) => matmul(a.cast(half), b.transpose().cast(half), { transposeB: true }) },
]);

const otherCases: HalfCase[] = halves.flatMap((half): HalfCase[] => [
  { name: `gather from a ${half} table`, inputs: [input(-1, 1, 7, 5)], integers: [{ shape: [2, 4], below: 7 }], dtypes: [half], run: ([table], [ids]) => gather(table, ids).square() },
  { name: `gather from a wide ${half} table`, inputs: [input(-1, 1, 5, 34)], integers: [{ shape: [3], below: 5 }], dtypes: [half], run: ([table], [ids]) => gather(table, ids) },
  {
    name: `selectiveScan, ${half} operands`,
    inputs: scanInputs(2, 5, 4, 3, 2),
    integers: [{ shape: [2, 5], below: 2 }],
    dtypes: [half, half, f32, half, half, f32, half, f32, f32],
    run: ([u, delta, A, B, C, D, z, deltaBias, initialState], [resets]) => {
      const { y, lastState } = selectiveScan({ u, delta, A, B, C, D, z, deltaBias, initialState, resets, deltaSoftplus: true });
      return [y, lastState];
    },
  },
  {
    name: `stateUpdate, ${half} operands`,
    inputs: [
      input(-1, 1, 2, 4, 3), input(-1, 1, 2, 4), input(-1, 0.5, 2, 4), input(-1.5, -0.1, 4, 3), input(-1, 1, 2, 1, 3), input(-1, 1, 2, 1, 3), input(-1, 1, 4),
      input(-1, 1, 2, 4), input(-0.5, 0.5, 4),
    ],
    dtypes: [f32, half, half, f32, half, half, f32, half, f32],
    run: ([state, u, delta, A, B, C, D, z, deltaBias]) => {
      const next = stateUpdate(state, { u, delta, A, B, C, D, z, deltaBias, deltaSoftplus: true });
      return [next.y, next.state];
    },
  },
]);

/** Rounding of a gradient to its tensor's type, relative to the norm. */
const rounding: Partial<Record<DType, number>> = { bfloat16: 2 ** -8, float16: 2 ** -11 };

/**
 * Values and gradients. `widened`: inputs are rounded to their storage type but handed over in float32, and gradients are those of the widened
 * inputs.
 */
async function runHalfCase(c: HalfCase, device: Device, widened: boolean): Promise<{ outputs: HostArray[]; gradients: HostArray[]; dtypes: DType[] }> {
  const { floats, integers } = caseInputs(c, 3);
  const kept = scope(() => {
    const x = floats.map((v, i) => {
      const stored = tensor(v, { shape: c.inputs[i].shape, device, dtype: c.dtypes[i] });
      return widened ? stored.cast(f32).realize() : stored;
    });
    const ids = integers.map((v, i) => tensor(v, { shape: c.integers?.[i].shape ?? [v.length], device }));
    const result = c.run(x, ids);
    const outputs = (result instanceof Tensor ? [result] : result).map((y) => y.add(0));
    const gradients = grad(weighted(outputs, device), x);
    realize(...outputs, ...gradients);
    return [...outputs, ...gradients];
  });
  const values: HostArray[] = [];
  for (const t of kept) values.push(await t.data());
  const dtypes = kept.map((t) => t.dtype);
  for (const t of kept) t.dispose();
  const count = kept.length - c.inputs.length;
  return { outputs: values.slice(0, count), gradients: values.slice(count), dtypes };
}

/** Routines give the same for half-precision inputs, kept by the backend or not, as for the same numbers in float32. */
export function testHalfOperands(devices: Devices): void {
  describe('half-precision operands', () => {
    for (const c of [...matmulCases, ...otherCases]) {
      it(c.name, async () => {
        const baseline = devices.device.memory();
        const actual = await runHalfCase(c, devices.device, false);
        const expected = await runHalfCase(c, devices.oracle, true);
        actual.outputs.forEach((y, i) => expect(relativeError(y, expected.outputs[i]), `output ${i}`).toBeLessThan(2e-6));
        actual.gradients.forEach((g, i) =>
          expect(relativeError(g, expected.gradients[i]), `gradient of input ${i}`).toBeLessThan(1e-5 + (rounding[c.dtypes[i]] ?? computedRounding(c))),
        );
        expect(actual.dtypes).toEqual([...actual.outputs.map(() => f32), ...c.dtypes]);
        expect({ ...devices.device.memory(), allocations: 0 }).toEqual({ ...baseline, allocations: 0 });
      });
    }

    for (const half of halves) {
      it(`a compiled product with ${half} weights has a widening kernel only where the backend wants one`, async () => {
        const { device } = devices;
        const product = async (dtype: DType): Promise<number> => {
          const x = variable(tensor(Float32Array.from({ length: 6 }, (_, i) => i - 2), { shape: [1, 6], device }));
          const w = variable(tensor(Float32Array.from({ length: 24 }, (_, i) => (i % 7) / 4), { shape: [4, 6], device, dtype }));
          const step = compile(() => matmul(x, w, { transposeB: true }));
          const expected = [0, 1, 2, 3].map((row) => [0, 1, 2, 3, 4, 5].reduce((sum, k) => sum + ((k - 2) * ((row * 6 + k) % 7)) / 4, 0));
          expect(Array.from(await step().data())).toEqual(expected);
          const { kernels } = step.explain()[0];
          for (const t of [step, x, w]) t.dispose();
          return kernels;
        };
        const kept = device.backend.halfInputs?.matmul?.includes(1) ?? false;
        expect((await product(half)) - (await product('float32'))).toBe(kept ? 0 : 1);
      });
    }
  });
}

/** Gradients that pass through a cast to half precision inside the case are rounded there. */
function computedRounding(c: HalfCase): number {
  const half = halves.find((h) => c.name.includes(`computed ${h}`));
  return half ? (rounding[half] as number) : 0;
}
