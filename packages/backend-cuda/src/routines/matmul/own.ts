import type { CudaStream } from '@mamba-ts/scan-cuda/driver';
import { elementTypes } from '../../element-types';
import { ptx as bf16 } from '../../ptx/matmul-bf16';
import { ptx as f16 } from '../../ptx/matmul-f16';
import { ptx as fewRowsBf16 } from '../../ptx/matmul-few-rows-bf16';
import { ptx as fewRowsF16 } from '../../ptx/matmul-few-rows-f16';
import { ptx as fewRowsF32 } from '../../ptx/matmul-few-rows-f32';
import { ptx as float32 } from '../../ptx/matmul-float32';
import { ptx as long } from '../../ptx/matmul-long';
import { ptx as tall } from '../../ptx/matmul-tall';
import { ptx as threeTf32 } from '../../ptx/matmul-three-tf32';
import type { SimpleEpilogue } from '../../epilogue';
import type { RoutineHost } from '../../routine';
import { StructLaunch } from '../../struct-launch';
import type { OwnPlan } from './own-plan';
import { type Product, swapped } from './product';

const modules = { 'few-rows-f32': fewRowsF32, 'few-rows-bf16': fewRowsBf16, 'few-rows-f16': fewRowsF16, float32, 'three-tf32': threeTf32, tall, long, bf16, f16 } as const;

/** Fields of `MatmulArguments` (kernels/matmul-arguments.cuh), in order. */
export const matmulFields = [
  'a', 'b', 'out', 'bias', 'residual', 'parts', 'batch', 'm', 'n', 'k', 'strideA', 'strideB', 'rowA', 'transposeA', 'transposeB',
  'typeA', 'typeB', 'typeOut', 'typeResidual', 'activation', 'partK', 'lanes', 'prefetch', 'transposeOut',
] as const;

/** As in `Activation` of the kernels. */
export const activations = { none: 0, silu: 1, relu: 2 } as const;

/** A product on the package's own kernels. */
export class OwnProduct {
  private readonly main: StructLaunch<(typeof matmulFields)[number]>;
  private readonly sum: StructLaunch<(typeof matmulFields)[number]> | null;
  private readonly empty: boolean;

  constructor(
    product: Product,
    readonly plan: OwnPlan,
    host: RoutineHost,
    epilogue?: SimpleEpilogue,
  ) {
    const { driver } = host.context;
    this.empty = product.batch * product.m * product.n === 0;
    const valuesOf = ({ batch, m, n, k, strideA, strideB, rowA, transposeA, transposeB, typeA, typeB, typeOut }: Product): Parameters<typeof this.main.set>[0] => ({
      ...{ batch, m, n, k, strideA, strideB, rowA, transposeA, transposeB, partK: plan.partK, lanes: plan.lanes, prefetch: plan.prefetch },
      ...{ typeA: elementTypes[typeA], typeB: elementTypes[typeB], typeOut: elementTypes[typeOut], transposeOut: plan.swapped },
      activation: activations[epilogue?.activation ?? 'none'],
      typeResidual: elementTypes[epilogue?.residual?.type ?? 'float32'],
    });
    const { grid, threads, sharedBytes, parts } = plan;
    const run = host.kernel(modules[plan.module], plan.kernel);
    this.main = new StructLaunch(driver, run, { grid, block: [threads], sharedBytes }, matmulFields).set(valuesOf(plan.swapped ? swapped(product) : product));
    this.sum = parts > 1 ? sumOfParts(product, plan, host).set(valuesOf(product)) : null;
  }

  /** Bytes of the sums over parts of k. */
  static scratchBytes({ batch, m, n }: Product, { parts }: OwnPlan): number {
    return parts > 1 ? parts * batch * m * n * 4 : 0;
  }

  launch(stream: CudaStream, pointers: { a: bigint; b: bigint; out: bigint; parts: bigint; bias: bigint; residual: bigint }): void {
    if (this.empty) return;
    if (this.sum === null) {
      this.main.set({ ...pointers, parts: 0n }).launch(stream);
    } else {
      const { a, b } = pointers;
      this.main.set(this.plan.swapped ? { ...pointers, a: b, b: a } : pointers).launch(stream);
      this.sum.set(pointers).launch(stream);
    }
  }
}

/** Sums of many parts of a small result take several threads each. */
function sumOfParts({ batch, m, n }: Product, { parts }: OwnPlan, { context, kernel }: RoutineHost): OwnProduct['main'] {
  const count = batch * m * n;
  const many = parts >= 16 && count < 2 ** 20;
  const blocks = many ? Math.ceil(count / 32) : Math.max(1, Math.min(Math.ceil(count / 256), 16 * context.multiprocessors));
  return new StructLaunch(context.driver, kernel(float32, many ? 'sum_many_parts' : 'sum_parts'), { grid: [blocks], block: [256] }, matmulFields);
}
