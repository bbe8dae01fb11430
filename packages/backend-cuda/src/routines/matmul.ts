import type { CudaContext } from '@mamba-ts/scan-cuda/driver';
import type { RoutineCall } from '@mamba-ts/tensor';
import type { CudaRoutine } from '../routine';
import { firstElement } from '../views';
import { hasTypes, LtProduct } from './matmul/cublaslt';
import { CublasLtLibrary } from './matmul/cublaslt-library';
import { OwnProduct } from './matmul/own';
import { hasFewRows, planOwn, tooLarge } from './matmul/own-plan';
import { operations, type Product, productOf } from './matmul/product';

export interface MatmulOptions {
  /** `own`: the package's own kernels also where cuBLASLt is found. Default `fastest`. */
  readonly kernels?: 'fastest' | 'own';
  /** Lets cuBLASLt round float32 operands to TF32 (10 bits of mantissa) for speed. Default false. */
  readonly tf32?: boolean;
}

/**
 * Products by cuBLASLt where the dynamic linker finds it, else, and for few rows (decoding), by the package's own kernels: tensor cores for
 * bfloat16 and float16, tiles in float32, and dot products that read b once.
 */
export function matmulBy({ kernels = 'fastest', tf32 = false }: MatmulOptions = {}): CudaRoutine {
  let library: CublasLtLibrary | null = null;
  /** The library's algorithm for a call; null: own kernels. Asked for once per call. */
  const choices = new Map<string, LtProduct | null>();
  const choose = (product: Product): LtProduct | null => {
    if (library === null || !hasTypes(product) || hasFewRows(product) || product.batch * product.m * product.n * product.k === 0) return null;
    const key = JSON.stringify(product);
    let choice = choices.get(key);
    if (choice === undefined) choices.set(key, (choice = LtProduct.of(library, product, { tf32 })));
    return choice;
  };
  return {
    halfInputs: [0, 1],
    viewInputs: { 0: 2 },
    async open(host) {
      if (kernels === 'own') return;
      library = await CublasLtLibrary.open();
      const opened = library;
      if (opened === null) return;
      host.shared('cublasLt', () => ({
        close() {
          for (const choice of choices.values()) choice?.close();
          choices.clear();
          opened.close();
        },
      }));
    },
    refuses(call: RoutineCall, context: CudaContext) {
      const product = productOf(call);
      return choose(product) ? null : tooLarge(planOwn(product, context.multiprocessors));
    },
    scratchBytes(call, context) {
      const product = productOf(call);
      return choose(product)?.workspaceBytes ?? OwnProduct.scratchBytes(product, planOwn(product, context.multiprocessors));
    },
    prepare(call, host) {
      const product = productOf(call);
      const [specA] = call.inputs;
      const cost = operations(product);
      const lt = choose(product);
      if (lt) {
        const types = product.typeA === 'float32' && tf32 ? 'tf32' : product.typeA;
        return {
          launch(stream, { inputs: [a, b], outputs: [out], scratch }) {
            lt.launch(stream, { a: firstElement(a, specA), b, out, workspace: scratch });
          },
          describe: () => `cuBLASLt ${library?.version} ${types}, ${cost}`,
        };
      }
      const plan = planOwn(product, host.context.multiprocessors);
      const own = new OwnProduct(product, plan, host);
      return {
        launch(stream, { inputs: [a, b], outputs: [out], scratch }) {
          own.launch(stream, { a: firstElement(a, specA), b, out, parts: scratch });
        },
        describe: () => `own ${plan.kernel}, ${plan.grid[0]} blocks${plan.parts > 1 ? ` × ${plan.parts} parts of k` : ''}, ${cost}`,
      };
    },
  };
}

export const matmul: CudaRoutine = matmulBy();
