import type { RoutineCall } from '../../compile/program';
import type { Shape } from '../../shape';
import type { CpuRoutine } from '../routine';
import { elementType } from './element-type';
import { cacheLines, maxWorkers, writeFields } from './parameter-struct';

/**
 * One product, as the kernels see it: `batch` products of (m, k) and (k, n). Batches that share b are already folded
 * into m.
 */
interface Product {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Bytes from one matrix of the batch to the next, 0 where all products share it. */
  readonly strideA: number;
  readonly strideB: number;
  readonly kernel: 'matmul' | 'matmulDots' | 'matmulCombine';
  /** The kernel sees the transposed product: a and b change places. */
  readonly swapped: boolean;
  /** Element type of b (assembly/half.ts). */
  readonly typeB: number;
}

/** Rows up to which dot products against a transposed b beat packing it (measured at 64 to 768 terms). */
const dotRows = 10;
/** Columns up to which dot products of the rows of a beat padding b to a tile. */
const dotColumns = 2;
/** Rows up to which summing the rows of b beats a tile. */
const combineRows = 2;

function describe(call: RoutineCall): Product {
  const { transposeA = false, transposeB = false } = call.attributes as { transposeA?: boolean; transposeB?: boolean };
  const a = (call.inputs[0] as { shape: Shape }).shape;
  const b = (call.inputs[1] as { shape: Shape }).shape;
  let [batch, m] = call.outputs[0].shape;
  const n = call.outputs[0].shape[2];
  const k = transposeA ? a[1] : a[2];
  const strideA = a[0] === 1 ? 0 : m * k * 4;
  const typeB = elementType(call, 1);
  const strideB = b[0] === 1 ? 0 : k * n * (typeB === 0 ? 4 : 2);
  if (strideB === 0 && strideA !== 0 && !transposeA) {
    m *= batch;
    batch = Math.min(batch, 1);
  }
  const product = { batch, m, n, k, transposeA, transposeB, strideA, strideB, typeB };
  if (transposeB && m <= dotRows) return { ...product, kernel: 'matmulDots', swapped: false };
  // Only these two kernels read halves: decoding and tall products. The other shapes are rare with half-precision weights.
  if (typeB !== 0) return { ...product, kernel: 'matmul', swapped: false };
  if (!transposeA && n <= dotColumns) return { ...product, kernel: 'matmulDots', swapped: true };
  if (!transposeB && m <= combineRows) return { ...product, kernel: 'matmulCombine', swapped: false };
  if (transposeA && n === 1) return { ...product, kernel: 'matmulCombine', swapped: true };
  return { ...product, kernel: 'matmul', swapped: false };
}

/** Is the operand with few rows stored with these rows as columns? One row is the same either way. */
function fewTransposed(p: Product): boolean {
  return p.swapped ? !p.transposeB && p.n > 1 : p.transposeA && p.m > 1;
}

/**
 * The workspace of one thread; `blockB` is the offset of the packed block of b (layout: assembly/matmul/gemm.ts), or of a widened row of it
 * (assembly/matmul/dots.ts).
 */
function workspace(p: Product): { bytes: number; blockB: number; count: number } {
  if (p.kernel === 'matmulCombine') return { bytes: 0, blockB: 0, count: 0 };
  if (p.kernel === 'matmulDots') {
    const few = fewTransposed(p) ? cacheLines((p.swapped ? p.n : p.m) * p.k * 4) : 0;
    const row = p.typeB !== 0 && p.m > 1 ? cacheLines(p.k * 4) : 0;
    return { bytes: few + row, blockB: few, count: maxWorkers };
  }
  const depth = Math.min(p.k, 256);
  const width = Math.min(Math.ceil(p.n / 8) * 8, 256);
  const height = Math.min(Math.ceil(p.m / 12) * 12, 96);
  const blockB = 256 + 6 * 256 * 4 + (p.transposeA ? height * depth * 4 : 0);
  // No more threads than there are pieces of 40000 multiply-adds (the kernel's grain).
  const count = Math.max(1, Math.min(maxWorkers, Math.floor((p.batch * p.m * p.n * Math.max(p.k, 1)) / 40000)));
  return { bytes: cacheLines(blockB + depth * width * 4), blockB, count };
}

/** Packed tiles (matmul), a few rows against many (matmulDots), sums of rows (matmulCombine): by shape. */
export const matmul: CpuRoutine = {
  phases: (call) => [{ module: 'kernels', name: describe(call).kernel }],
  scratchBytes(call) {
    const { bytes, count } = workspace(describe(call));
    return bytes * count;
  },
  paramBytes: () => 80,
  writeParams(view, at, call, pointers) {
    const p = describe(call);
    const { batch, m, n, k, swapped, strideA, strideB } = p;
    const [a, b] = pointers.inputs;
    const [out] = pointers.outputs;
    const strideOut = m * n * 4;
    const { bytes, blockB, count } = workspace(p);
    if (p.kernel === 'matmul') {
      const flags = (p.transposeA ? 1 : 0) + (p.transposeB ? 2 : 0);
      writeFields(view, at, [
        a,
        b,
        out,
        pointers.scratch,
        batch,
        m,
        n,
        k,
        flags,
        strideA,
        strideB,
        strideOut,
        bytes,
        blockB,
        count,
        p.typeB,
      ]);
    } else if (p.kernel === 'matmulDots') {
      const transposed = fewTransposed(p) ? 1 : 0;
      const operands = swapped ? [b, a] : [a, b];
      const strides = swapped ? [strideB, strideA] : [strideA, strideB];
      const steps = swapped ? [4, n * 4] : [n * 4, 4];
      const [rows, others] = swapped ? [n, m] : [m, n];
      writeFields(view, at, [
        ...operands,
        out,
        pointers.scratch,
        batch,
        rows,
        others,
        k,
        transposed,
        ...strides,
        strideOut,
        ...steps,
        bytes,
        count,
        p.typeB,
        blockB,
      ]);
    } else if (swapped) {
      writeFields(view, at, [b, a, out, batch, 1, m, k, strideB, strideA, strideOut, 0, 4]);
    } else {
      const steps = p.transposeA ? [4, m * 4] : [k * 4, 4];
      writeFields(view, at, [a, b, out, batch, m, n, k, strideA, strideB, strideOut, ...steps]);
    }
  },
};
