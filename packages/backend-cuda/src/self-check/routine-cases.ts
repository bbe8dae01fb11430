import type { DType, RoutineCall, RoutineName, TensorSpec } from '@mamba-ts/tensor';

/** One call of a routine, and the range of each input's values: [low, high); int32 values are whole. */
export interface RoutineCase {
  readonly call: RoutineCall;
  readonly ranges: readonly (readonly [number, number] | null)[];
  /** Largest allowed error, relative to the largest finite value of the output. */
  readonly tolerance: number;
  /** Some of the first input's values are infinite or NaN. */
  readonly special?: boolean;
}

type Range = readonly [number, number];
type Input = readonly [shape: readonly number[], range?: Range, dtype?: DType] | null;

function routineCase(name: RoutineName, inputs: readonly Input[], outputs: readonly (readonly number[])[], attributes: RoutineCall['attributes'] = {}, tolerance = 3e-6): RoutineCase {
  const specs = inputs.map((x): TensorSpec | null => (x ? { shape: x[0], dtype: x[2] ?? 'float32' } : null));
  return {
    call: { name, attributes, inputs: specs, outputs: outputs.map((shape) => ({ shape, dtype: 'float32' })) },
    ranges: inputs.map((x) => (x ? (x[1] ?? [-1, 1]) : null)),
    tolerance,
  };
}

const f32 = 'float32';
const bf16 = 'bfloat16';
const f16 = 'float16';

function product([m, k, n]: readonly number[], [typeA, typeB]: readonly [DType, DType], transposeA: boolean, transposeB: boolean, batches: readonly [number, number] = [1, 1]): RoutineCase {
  const [batchA, batchB] = batches;
  const a = transposeA ? [batchA, k, m] : [batchA, m, k];
  const b = transposeB ? [batchB, n, k] : [batchB, k, n];
  return routineCase('matmul', [[a, [-1, 1], typeA], [b, [-1, 1], typeB]], [[Math.max(batchA, batchB), m, n]], { transposeA, transposeB });
}

/** Sizes that meet every kernel: few rows, tiles and their edges, sizes that are not multiples of anything, long sums over k. */
const productSizes = [
  [1, 37, 21], [1, 768, 130], [1, 48, 1536], [2, 130, 40], [5, 64, 33], [8, 256, 65], [3, 19, 9], [33, 41, 27], [64, 64, 64], [72, 136, 200], [130, 264, 136],
  [257, 131, 129], [16, 4096, 24], [40, 20000, 24], [200, 33, 1],
] as const;

const products: RoutineCase[] = productSizes.flatMap((sizes) =>
  ([[f32, f32], [bf16, bf16], [f16, f16], [f32, bf16], [bf16, f32]] as const).flatMap((types) =>
    [false, true].flatMap((transposeA) => [false, true].map((transposeB) => product(sizes, types, transposeA, transposeB))),
  ),
);
/** Large enough for three products of TF32 numbers: tiles and their edges, long sums in parts, results that come out transposed. */
const largeProducts: RoutineCase[] = ([[260, 1000, 300], [132, 20000, 36], [36, 16400, 128]] as const).flatMap((sizes) =>
  [false, true].flatMap((transposeA) => [false, true].map((transposeB) => product(sizes, [f32, f32], transposeA, transposeB))),
);
/**
 * Many rows by a small matrix and long sums of a small result: tiles of 16 to 64 columns, several beside each other, parts of tiles and of chunks of
 * terms, turned around, and results that are not finite.
 */
const tallAndLong: RoutineCase[] = [
  ...([[25_387, 64, 128], [25_349, 36, 4], [25_350, 4, 128], [25_345, 36, 132], [25_361, 100, 20], [25_400, 160, 36]] as const).flatMap((sizes) =>
    [false, true].map((transposeB) => product(sizes, [f32, f32], false, transposeB)),
  ),
  product([25_345, 64, 256], [f32, f32], false, true),
  product([25_345, 256, 64], [f32, f32], false, false),
  product([76_100, 8, 16], [f32, f32], false, true),
  ...([[128, 8_203, 64], [256, 4_100, 64], [36, 14_602, 128], [128, 131_077, 4], [64, 8_210, 128], [200, 3_362, 100]] as const).map((sizes) => product(sizes, [f32, f32], true, false)),
  { ...product([25_345, 36, 132], [f32, f32], false, true), special: true },
  { ...product([25_361, 64, 20], [f32, f32], false, false), special: true },
  { ...product([128, 8_203, 64], [f32, f32], true, false), special: true },
  { ...product([260, 1000, 300], [f32, f32], false, false), special: true },
];
/** 9 to 64 rows of bfloat16: tiles and their edges, sums over k in parts, rows of the result that are no whole vectors. */
const narrowProducts: RoutineCase[] = ([[9, 200, 131], [16, 4096, 160], [17, 1000, 70], [33, 888, 4100], [63, 2048, 129], [64, 4096, 2048], [64, 128, 4096], [64, 136, 8190]] as const).map(
  (sizes) => product(sizes, [bf16, bf16], false, true),
);
const batched: RoutineCase[] = ([[f32, f32], [bf16, bf16], [f32, f16]] as const).flatMap((types) => [
  product([5, 24, 16], types, false, true, [3, 3]),
  product([70, 40, 72], types, true, false, [3, 1]),
  product([70, 40, 72], types, false, false, [1, 3]),
  product([9, 40, 16], types, false, true, [4, 1]),
  product([1, 40, 16], types, false, true, [1, 3]),
]);
batched.push(product([200, 300, 600], [f32, f32], false, false, [3, 3]), product([200, 300, 600], [f32, f32], true, true, [1, 3]));

function convolution(batch: number, length: number, channels: number, width: number, options: string): RoutineCase[] {
  const x: Input = [[batch, length, channels]];
  const weight: Input = [[channels, width]];
  const initial: Input = options.includes('i') ? [[batch, width - 1, channels]] : null;
  const resets: Input = options.includes('r') ? [[batch, length], [0, 2], 'int32'] : null;
  const bias: Input = options.includes('b') ? [[channels]] : null;
  return [
    ...[false, true].flatMap((silu) => {
      const attributes: RoutineCall['attributes'] = silu ? { silu } : {};
      const inputs = [x, x, weight, initial, resets, ...(silu ? [bias] : [])];
      return [
        routineCase('causalConv1d', [x, weight, bias, initial, resets], [[batch, length, channels]], attributes),
        routineCase('causalConv1dBackward', inputs, [[batch, length, channels], [channels, width], [channels], [batch, width - 1, channels]], attributes),
      ];
    }),
  ];
}

const convolutions: RoutineCase[] = [
  ...[1, 2, 3, 4, 7].flatMap((width) => [...convolution(2, 37, 5, width, 'bir'), ...convolution(3, 130, 8, width, 'b'), ...convolution(1, 2, 4, width, 'ir')]),
  ...convolution(2, 600, 12, 4, 'bi'),
  ...convolution(4, 70, 1028, 4, 'br'),
  // Enough channels for long walks of a thread.
  ...convolution(8, 300, 2048, 4, 'b'),
];

const longConvolutions: RoutineCase[] = ([[2, 30, 3, 30], [2, 100, 5, 100], [3, 300, 9, 300], [1, 300, 2, 400], [2, 2500, 3, 2500], [1, 20000, 5, 3000], [2, 90, 4, 7], [1, 5000, 1, 90]] as const).flatMap(
  ([batch, length, channels, taps]) => {
    const signal: Input = [[batch, length, channels]];
    const filter: Input = [[taps, channels]];
    return [
      routineCase('longConv', [signal, filter], [[batch, length, channels]], {}, 5e-6),
      routineCase('longConvGradInput', [signal, filter], [[batch, length, channels]], {}, 5e-6),
      routineCase('longConvGradKernel', [signal, signal], [[taps, channels]], { taps }, 5e-6),
    ];
  },
);

function scans(batch: number, length: number, channels: number, dState: number, groups: number, complex: boolean, constant: boolean, options: boolean): RoutineCase[] {
  const pair = complex ? [2] : [];
  const rows = [batch, length, channels];
  const A = [channels, dState, ...pair];
  const B = constant ? A : [batch, length, groups, dState, ...pair];
  const optional = (shape: number[], range?: Range, dtype?: DType): Input => (options ? [shape, range, dtype] : null);
  const inputs: Input[] = [
    [rows], [rows, [-2, 0.5]], [A, [-1.5, -0.1]], [B], [B], optional([channels]), optional(rows), optional([channels], [-0.5, 0.5]), optional([batch, ...A]),
    optional([batch, length], [0, 2], 'int32'),
  ];
  const attributes = { groups: constant ? 1 : groups, complex, variableB: !constant, variableC: !constant, deltaSoftplus: true };
  const like = inputs.slice(0, 9).map((x) => x?.[0] ?? [0]);
  const result = [
    routineCase('selectiveScan', inputs, [rows, [batch, ...A]], attributes, 1e-5),
    routineCase('selectiveScanBackward', [[rows], optional([batch, ...A]), ...inputs], like, attributes, 2e-5),
  ];
  const now = (x: Input): Input => x && [[x[0][0], ...x[0].slice(2)], x[1], x[2]];
  const [u, delta, , , , D, z, deltaBias] = inputs;
  const coefficients = constant ? inputs[3] : now(inputs[3]);
  const state: Input = [[batch, ...A]];
  result.push(
    routineCase('stateUpdate', [state, now(u), now(delta), [A, [-1.5, -0.1]], coefficients, coefficients, D, now(z), deltaBias], [[batch, channels], [batch, ...A]], attributes, 1e-5),
  );
  return result;
}

const scanCases: RoutineCase[] = [
  ...scans(2, 37, 6, 3, 2, false, false, true),
  ...scans(1, 70, 64, 16, 1, false, false, false),
  ...scans(2, 130, 48, 16, 1, false, false, true),
  ...scans(3, 5, 24, 16, 2, false, false, true),
  // Enough channels for four sequences a thread, whose last group is not full.
  ...scans(7, 2, 6000, 16, 1, false, false, true),
  ...scans(2, 19, 5, 4, 1, true, false, true),
  ...scans(1, 40, 8, 16, 1, false, true, true),
  ...scans(3, 33, 4, 6, 2, true, true, true),
];

/** Calls that meet every kernel of the routines of this package that compute in floats. */
export const routineCases: readonly RoutineCase[] = [...products, ...largeProducts, ...tallAndLong, ...narrowProducts, ...batched, ...convolutions, ...longConvolutions, ...scanCases];
