import type { CudaStream } from '@mamba-ts/scan-cuda/driver';
import { elementTypes } from '../../element-types';
import type { SimpleEpilogue } from '../../epilogue';
import { ptx as float32 } from '../../ptx/matmul-float32';
import { ptx as split } from '../../ptx/matmul-split';
import type { RoutineHost } from '../../routine';
import { StructLaunch } from '../../struct-launch';
import type { LtProduct } from './cublaslt';
import { activations, matmulFields } from './own';
import type { Product } from './product';

const align = (bytes: number): number => Math.ceil(bytes / 256) * 256;

/**
 * The product of a float32 matrix and a bfloat16 one by a library that has none of mixed types: a is the sum of three bfloat16 matrices, on top of
 * each other they are one tall product, and its three parts are added up. As precise as float32, at the rate of the tensor cores.
 */
export class SplitProduct {
  private readonly first: StructLaunch<(typeof matmulFields)[number]>;
  private readonly last: StructLaunch<(typeof matmulFields)[number]>;
  private readonly partBytes: number;
  private readonly sumBytes: number;

  /** Is the call of this kind? */
  static fits(p: Product): boolean {
    return p.typeA === 'float32' && p.typeB === 'bfloat16' && !p.transposeA && p.batch === 1;
  }

  /** What the library multiplies. */
  static tall(p: Product): Product {
    return { ...p, m: 3 * p.m, typeA: 'bfloat16', typeOut: 'float32', rowA: p.k, strideA: 0, strideB: 0 };
  }

  static scratchBytes({ m, n, k }: Product, lt: LtProduct): number {
    return align(3 * m * k * 2) + align(3 * m * n * 4) + lt.workspaceBytes;
  }

  constructor(
    product: Product,
    private readonly lt: LtProduct,
    host: RoutineHost,
    epilogue?: SimpleEpilogue,
  ) {
    const { driver, multiprocessors } = host.context;
    const { m, n, k, rowA, typeOut } = product;
    this.partBytes = align(3 * m * k * 2);
    this.sumBytes = align(3 * m * n * 4);
    const blocks = (elements: number): number => Math.max(1, Math.min(Math.ceil(elements / 256), 16 * multiprocessors));
    this.first = new StructLaunch(driver, host.kernel(split, 'split_bf16'), { grid: [blocks(m * k)], block: [256] }, matmulFields).set({ m, k, rowA });
    this.last = new StructLaunch(driver, host.kernel(float32, 'sum_parts'), { grid: [blocks(m * n)], block: [256] }, matmulFields).set({
      // The three parts lie as those of a sum over k that was cut in three.
      ...{ batch: 1, m, n, k: 3, partK: 1, typeOut: elementTypes[typeOut] },
      ...{ activation: activations[epilogue?.activation ?? 'none'], typeResidual: elementTypes[epilogue?.residual?.type ?? 'float32'] },
    });
  }

  launch(stream: CudaStream, pointers: { a: bigint; b: bigint; out: bigint; scratch: bigint; bias: bigint; residual: bigint }): void {
    const { a, b, out, scratch, bias, residual } = pointers;
    const parts = scratch + BigInt(this.partBytes);
    this.first.set({ a, out: scratch }).launch(stream);
    this.lt.launch(stream, { a: scratch, b, out: parts, workspace: parts + BigInt(this.sumBytes), bias: 0n, residual: 0n });
    this.last.set({ out, parts, bias, residual }).launch(stream);
  }
}
