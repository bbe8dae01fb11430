import type { DType, RoutineCall } from '@mamba-ts/tensor';
import { cudaRoutines } from '../routines';
import { matmulBy } from '../routines/matmul';
import type { CudaRoutine } from '../routine';
import { bytesOf, type BoundCall, RoutineRunner } from './routine-runs';

interface Timed {
  readonly name: string;
  readonly call: RoutineCall;
  /** Instances with memory of their own, run in turn, so that the cache holds none of it. */
  readonly copies: number;
}

function product(m: number, k: number, n: number, types: readonly [DType, DType], copies: number, transposes: readonly [boolean, boolean] = [false, true]): Timed {
  const [transposeA, transposeB] = transposes;
  const call: RoutineCall = {
    name: 'matmul',
    attributes: { transposeA, transposeB },
    inputs: [{ shape: transposeA ? [1, k, m] : [1, m, k], dtype: types[0] }, { shape: transposeB ? [1, n, k] : [1, k, n], dtype: types[1] }],
    outputs: [{ shape: [1, m, n], dtype: 'float32' }],
  };
  return { name: `matmul ${m}×${k}×${n} ${types.join('·')} ${transposeA ? 't' : 'n'}${transposeB ? 't' : 'n'}`, call, copies };
}

const f32 = ['float32', 'float32'] as const;
const bf16 = ['bfloat16', 'bfloat16'] as const;
const mixed = ['float32', 'bfloat16'] as const;

function convolutions(batch: number, length: number, channels: number): Timed[] {
  const x = { shape: [batch, length, channels], dtype: 'float32' } as const;
  const weight = { shape: [channels, 4], dtype: 'float32' } as const;
  const bias = { shape: [channels], dtype: 'float32' } as const;
  const initial = { shape: [batch, 3, channels], dtype: 'float32' } as const;
  const size = `${batch}×${length}×${channels}`;
  return [
    { name: `causalConv1d ${size}`, call: { name: 'causalConv1d', attributes: {}, inputs: [x, weight, bias, null, null], outputs: [x] }, copies: 3 },
    { name: `causalConv1dBackward ${size} SiLU`, call: { name: 'causalConv1dBackward', attributes: { silu: true }, inputs: [x, x, weight, null, null, bias], outputs: [x, weight, bias, initial] }, copies: 3 },
    { name: `causalConv1dBackward ${size}`, call: { name: 'causalConv1dBackward', attributes: {}, inputs: [x, x, weight, null, null], outputs: [x, weight, bias, initial] }, copies: 3 },
  ];
}

function longConvolution(batch: number, length: number, channels: number): Timed {
  const x = { shape: [batch, length, channels], dtype: 'float32' } as const;
  return { name: `longConv ${batch}×${length}×${channels}`, call: { name: 'longConv', attributes: {}, inputs: [x, { shape: [length, channels], dtype: 'float32' }], outputs: [x] }, copies: 1 };
}

function tableRoutines(count: number, table: number, width: number): Timed[] {
  const [values, ids] = [{ shape: [count, width], dtype: 'float32' } as const, { shape: [count], dtype: 'int32' } as const];
  const logits = { shape: [count, table], dtype: 'float32' } as const;
  const each = { shape: [count], dtype: 'float32' } as const;
  return [
    { name: `gather ${count} of ${table}×${width}`, call: { name: 'gather', attributes: {}, inputs: [{ shape: [table, width], dtype: 'float32' }, ids], outputs: [values] }, copies: 1 },
    { name: `scatterAdd ${count}×${width} into ${table}`, call: { name: 'scatterAdd', attributes: { rows: table }, inputs: [values, ids], outputs: [{ shape: [table, width], dtype: 'float32' }] }, copies: 1 },
    { name: `crossEntropy ${count}×${table}`, call: { name: 'crossEntropy', attributes: { ignoreIndex: -100 }, inputs: [logits, ids], outputs: [each, each] }, copies: 1 },
  ];
}

function step(batch: number, channels: number): Timed {
  const rows = { shape: [batch, channels], dtype: 'float32' } as const;
  const A = { shape: [channels, 16], dtype: 'float32' } as const;
  const state = { shape: [batch, channels, 16], dtype: 'float32' } as const;
  const B = { shape: [batch, 1, 16], dtype: 'float32' } as const;
  const D = { shape: [channels], dtype: 'float32' } as const;
  const attributes = { groups: 1, complex: false, variableB: true, variableC: true, deltaSoftplus: true };
  return { name: `stateUpdate ${batch}×${channels}×16`, call: { name: 'stateUpdate', attributes, inputs: [state, rows, rows, A, B, B, D, rows, D], outputs: [rows, state] }, copies: 8 };
}

const cases: readonly Timed[] = [
  // Decoding, mamba-130m and mamba-1.4b.
  ...[bf16, mixed].flatMap((types) => [product(1, 768, 3072, types, 24), product(1, 1536, 80, types, 24), product(1, 48, 1536, types, 24), product(1, 1536, 768, types, 24), product(1, 768, 50280, types, 2)]),
  ...[product(1, 2048, 8192, mixed, 6), product(1, 4096, 2048, mixed, 10), product(1, 2048, 50280, mixed, 1), product(4, 2048, 8192, mixed, 6), product(8, 2048, 8192, mixed, 6)],
  ...[product(64, 2048, 8192, bf16, 6), product(64, 4096, 160, bf16, 10), product(64, 128, 4096, bf16, 10), product(64, 4096, 2048, bf16, 10), product(64, 2048, 50280, bf16, 1), product(64, 2048, 8192, mixed, 6), product(4096, 768, 3072, mixed, 2)],
  // Training, mamba-130m at 8 × 2048, and square products.
  ...[product(16384, 768, 3072, bf16, 2), product(16384, 3072, 768, bf16, 2, [false, false]), product(3072, 16384, 768, bf16, 2, [true, false]), product(16384, 768, 50280, bf16, 1)],
  ...[product(4096, 4096, 4096, bf16, 2), product(4096, 4096, 4096, f32, 2), product(4096, 768, 3072, bf16, 2)],
  // Training, 2 layers of width 64.
  ...[product(2048, 64, 256, f32, 8), product(256, 2048, 64, f32, 8, [true, false]), product(262144, 64, 256, f32, 1), product(262144, 64, 128, f32, 1), product(256, 262144, 64, f32, 1, [true, false])],
  ...[product(262144, 128, 36, f32, 1), product(262144, 4, 128, f32, 1), product(262144, 128, 64, f32, 1)],
  ...[[262144, 256, 64], [262144, 128, 64], [262144, 64, 128], [262144, 128, 4], [262144, 36, 128]].map(([m, k, n]) => product(m, k, n, f32, 1, [false, false])),
  ...[[128, 64], [36, 128], [128, 4], [64, 128]].map(([m, n]) => product(m, 262144, n, f32, 1, [true, false])),
  ...tableRoutines(262144, 256, 64),
  ...convolutions(8, 2048, 1536),
  ...convolutions(8, 256, 128),
  ...convolutions(64, 4096, 128),
  ...[longConvolution(1, 1024, 768), longConvolution(1, 65536, 256)],
  ...[step(1, 1536), step(64, 4096)],
];

/** Median time of each routine by itself, of those whose name contains `filter`, in a replayed graph, beside the floor that its bytes set. */
export async function timeRoutines(log: (line: string) => void, filter = ''): Promise<void> {
  const runner = await RoutineRunner.open();
  const ways: readonly (readonly [string, CudaRoutine])[] = [
    ['', cudaRoutines.matmul as CudaRoutine], ['library', matmulBy({ kernels: 'library' })], ['own', matmulBy({ kernels: 'own' })],
  ];
  for (const routine of [...Object.values(cudaRoutines), ...ways.map(([, matmul]) => matmul)]) await routine.open?.(runner.host);
  for (const { name, call, copies } of cases.filter((c) => c.name.includes(filter))) {
    const seen = new Set<string>();
    for (const [way, matmul] of ways) {
      const routine = call.name === 'matmul' ? matmul : (cudaRoutines[call.name] as CudaRoutine);
      const bound: BoundCall[] = Array.from({ length: copies }, () => runner.bind(routine, call, []));
      const code = bound[0].prepared.describe();
      if (!seen.has(code)) {
        seen.add(code);
        for (const b of bound) b.launch();
        const rounds = Math.max(1, Math.ceil(20 / copies));
        const graph = runner.stream.capture(() => {
          for (let r = 0; r < rounds; r++) for (const b of bound) b.launch();
        });
        const [start, end] = [runner.context.createEvent(), runner.context.createEvent()];
        const times: number[] = [];
        for (let i = 0; i < 9; i++) {
          start.record(runner.stream);
          graph.launch(runner.stream);
          end.record(runner.stream);
          end.synchronize();
          if (i > 1) times.push((end.since(start) * 1000) / (rounds * copies));
        }
        times.sort((a, b) => a - b);
        const microseconds = times[times.length >> 1];
        const bytes = [...call.inputs, ...call.outputs].reduce((sum, spec) => sum + (spec ? bytesOf(spec) : 0), 0);
        log(`${`${name} ${way}`.padEnd(58)} ${microseconds.toFixed(2).padStart(9)} µs ${(bytes / microseconds / 1e6).toFixed(2).padStart(6)} TB/s  ${flops(call, microseconds)}  [${code}]`);
        graph.destroy();
      }
      for (const b of bound) b.free();
    }
  }
  runner.close();
}

function flops(call: RoutineCall, microseconds: number): string {
  if (call.name !== 'matmul') return ''.padStart(12);
  const [, m, n] = call.outputs[0].shape;
  const [, rows, columns] = (call.inputs[0] as { shape: readonly number[] }).shape;
  return `${((2 * m * n * (call.attributes.transposeA ? rows : columns)) / microseconds / 1e6).toFixed(1).padStart(6)} TFLOP/s`.slice(-14);
}
