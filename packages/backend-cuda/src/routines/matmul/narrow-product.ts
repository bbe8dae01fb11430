import { type CudaStream, encodeTensorMap } from '@mamba-ts/scan-cuda/driver';
import { elementTypes } from '../../element-types';
import type { SimpleEpilogue } from '../../epilogue';
import { ptx as float32 } from '../../ptx/matmul-float32';
import { ptx as narrow } from '../../ptx/matmul-narrow';
import { ptx as narrowHopper } from '../../ptx/matmul-narrow-hopper';
import type { RoutineHost } from '../../routine';
import { StructLaunch } from '../../struct-launch';
import type { NarrowPlan } from './narrow-plan';
import { activations, matmulFields } from './own';
import type { Product } from './product';

/** Fields of `NarrowArguments` (kernels/matmul-narrow-finish.cuh), in order. */
const narrowFields = [...matmulFields, 'stages', 'early', 'prefetch'] as const;

/** Addresses of one product; `early`: no earlier step of the program writes b. */
export interface NarrowPointers {
  readonly a: bigint;
  readonly b: bigint;
  readonly out: bigint;
  readonly parts: bigint;
  readonly bias: bigint;
  readonly residual: bigint;
  readonly early: boolean;
}

/** A product of 9 to 64 rows that streams b once. */
export class NarrowProduct {
  private readonly main: StructLaunch<(typeof narrowFields)[number]>;
  /** Adds up parts of k that no cluster does. */
  private readonly sum: StructLaunch<(typeof matmulFields)[number]> | null;

  constructor(
    private readonly product: Product,
    readonly plan: NarrowPlan,
    private readonly host: RoutineHost,
    epilogue?: SimpleEpilogue,
  ) {
    const { driver, multiprocessors } = host.context;
    const { batch, m, n, k, rowA, typeOut } = product;
    const { hopper, kernel, grid, threads, sharedBytes, parts, partK, cluster, stages, prefetch, streams } = plan;
    const values = {
      ...{ batch, m, n, k, rowA, partK, typeOut: elementTypes[typeOut] },
      ...{ activation: activations[epilogue?.activation ?? 'none'], typeResidual: elementTypes[epilogue?.residual?.type ?? 'float32'] },
    };
    const run = host.kernel(hopper ? narrowHopper : narrow, kernel);
    const geometry = { grid, block: [threads], sharedBytes, cluster } as const;
    this.main = new StructLaunch(driver, run, geometry, narrowFields, streams ? 2 : 0).set({ ...values, stages, prefetch });
    this.sum = null;
    if (parts === cluster) return;
    const blocks = Math.min(Math.ceil((m * n) / 256), 16 * multiprocessors);
    this.sum = new StructLaunch(driver, host.kernel(float32, 'sum_parts'), { grid: [blocks], block: [256] }, matmulFields).set(values);
  }

  /** Bytes of the sums over parts of k. */
  static scratchBytes({ m, n }: Product, { parts, cluster }: NarrowPlan): number {
    return parts === cluster ? 0 : parts * m * n * 4;
  }

  launch(stream: CudaStream, { early, ...pointers }: NarrowPointers): void {
    const { product, plan, main } = this;
    if (plan.streams) {
      const { driver } = this.host.context;
      const { m, n, k, rowA } = product;
      const [columns, rows] = plan.tile;
      encodeTensorMap(driver, main.maps[0], { address: pointers.a, type: 'bfloat16', rows: m, columns: k, pitchBytes: rowA * 2, tileRows: rows });
      encodeTensorMap(driver, main.maps[1], { address: pointers.b, type: 'bfloat16', rows: n, columns: k, pitchBytes: k * 2, tileRows: columns });
    }
    main.set({ ...pointers, parts: this.sum ? pointers.parts : 0n, early }).launch(stream);
    this.sum?.set(pointers).launch(stream);
  }
}
