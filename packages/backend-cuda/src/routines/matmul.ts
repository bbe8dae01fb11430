import type { CudaContext } from '@mamba-ts/scan-cuda/driver';
import type { RoutineCall } from '@mamba-ts/tensor';
import { type SimpleEpilogue, simpleEpilogue } from '../epilogue';
import type { CudaRoutine } from '../routine';
import { firstElement } from '../views';
import { hasTypes, type LtOptions, LtProduct } from './matmul/cublaslt';
import { CublasLtLibrary } from './matmul/cublaslt-library';
import type { Card } from './matmul/hopper-plan';
import { planNarrow, prefersNarrow, takesNarrow } from './matmul/narrow-plan';
import { NarrowProduct } from './matmul/narrow-product';
import { OwnProduct } from './matmul/own';
import { hasFewRows, planOwn, prefersThreeTf32, tooLarge } from './matmul/own-plan';
import { operations, type Product, productOf } from './matmul/product';
import { SplitProduct } from './matmul/split-product';

export interface MatmulOptions {
  /** `own`: the package's own kernels also where cuBLASLt is found; `library`: cuBLASLt also where they are faster. Default `fastest`. */
  readonly kernels?: 'fastest' | 'own' | 'library';
  /** Lets cuBLASLt round float32 operands to TF32 (10 bits of mantissa) for speed. Default false. */
  readonly tf32?: boolean;
}

/**
 * Products by cuBLASLt where the dynamic linker finds it, else, and for few rows (decoding), by the package's own kernels: dot products that read b
 * once for up to 8 rows, tensor cores that stream it for up to 64; tensor cores for bfloat16 and float16, tiles in float32.
 */
export function matmulBy({ kernels = 'fastest', tf32 = false }: MatmulOptions = {}): CudaRoutine {
  let library: CublasLtLibrary | null = null;
  /** The library's algorithm for a call; null: own kernels. Asked for once per call. */
  const choices = new Map<string, LtProduct | null>();
  /** 9 to 64 rows of bfloat16 that stream b once, in the package's own kernels. */
  const narrow = (product: Product, card: Card): boolean => (library === null ? takesNarrow(product) : kernels === 'fastest' && prefersNarrow(product, card));
  const choose = (product: Product, card: Card, options: LtOptions = {}): LtProduct | null => {
    if (narrow(product, card)) return null;
    if (library === null || !hasTypes(product) || hasFewRows(product) || (!tf32 && prefersThreeTf32(product, card)) || product.batch * product.m * product.n * product.k === 0) return null;
    const key = JSON.stringify([product, options]);
    let choice = choices.get(key);
    if (choice === undefined) choices.set(key, (choice = LtProduct.of(library, product, { ...options, tf32 })));
    return choice;
  };
  /** The library's algorithm for a float32 matrix that was split, by a bfloat16 one; null where the call is no such product. */
  const chooseSplit = (product: Product, card: Card): LtProduct | null =>
    SplitProduct.fits(product) && !hasFewRows(product) ? choose(SplitProduct.tall(product), card) : null;
  /** The library's algorithm for a product and what follows it, in the workspace of the product alone; null where it has none. */
  const chooseWith = (product: Product, card: Card, plain: LtProduct, epilogue: SimpleEpilogue): LtProduct | null => {
    const { type, bias, activation, residual } = epilogue;
    if (activation || (residual && (residual.type !== 'float32' || type !== 'float32')) || (bias !== undefined && type !== 'float32')) return null;
    return choose({ ...product, typeOut: type }, card, { bias: bias !== undefined, residual: residual !== undefined, mostWorkspace: plain.workspaceBytes });
  };
  return {
    halfInputs: [0, 1],
    viewInputs: { 0: 2 },
    rounds: (call, position, context) => position === 0 && narrow(productOf(call), context),
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
      return narrow(product, context) || choose(product, context) ? null : tooLarge(planOwn(product, context));
    },
    absorbs(call, kernel, context) {
      const epilogue = simpleEpilogue(kernel, call.outputs[0].shape);
      if (!epilogue) return false;
      const product = productOf(call);
      const plain = choose(product, context);
      return plain === null || chooseWith(product, context, plain, epilogue) !== null;
    },
    scratchBytes(call, context) {
      const product = productOf(call);
      if (narrow(product, context)) return NarrowProduct.scratchBytes(product, planNarrow(product, context));
      const split = chooseSplit(product, context);
      if (split) return SplitProduct.scratchBytes(product, split);
      return choose(product, context)?.workspaceBytes ?? OwnProduct.scratchBytes(product, planOwn(product, context));
    },
    prepare(call, host, kernel) {
      const epilogue = kernel ? simpleEpilogue(kernel, call.outputs[0].shape) : null;
      const alone = productOf(call);
      const product = epilogue ? { ...alone, typeOut: epilogue.type } : alone;
      const [specA] = call.inputs;
      const cost = operations(product);
      const plain = choose(alone, host.context);
      const lt = plain && (epilogue ? chooseWith(alone, host.context, plain, epilogue) : plain);
      /** Addresses of what the epilogue reads. */
      const followers = (addresses: readonly bigint[] | undefined): { bias: bigint; residual: bigint } => ({
        bias: epilogue?.bias === undefined ? 0n : (addresses?.[epilogue.bias] ?? 0n),
        residual: epilogue?.residual ? (addresses?.[epilogue.residual.buffer] ?? 0n) : 0n,
      });
      if (narrow(alone, host.context)) {
        const plan = planNarrow(alone, host.context);
        const own = new NarrowProduct(product, plan, host, epilogue ?? undefined);
        const parts = plan.parts > 1 ? `, k in ${plan.parts} parts${plan.cluster > 1 ? ' of a cluster' : ''}` : '';
        return {
          launch(stream, { inputs: [a, b], outputs: [out], scratch, unwritten, epilogue: addresses }) {
            own.launch(stream, { a: firstElement(a, specA), b, out, parts: scratch, early: unwritten?.[1] ?? false, ...followers(addresses) });
          },
          describe: () => `own ${plan.kernel}, ${plan.grid.join(' × ')} blocks${parts}, ${cost}`,
        };
      }
      if (lt) {
        const types = product.typeA === 'float32' && tf32 ? 'tf32' : product.typeA;
        return {
          launch(stream, { inputs: [a, b], outputs: [out], scratch, epilogue: addresses }) {
            lt.launch(stream, { a: firstElement(a, specA), b, out, workspace: scratch, ...followers(addresses) });
          },
          describe: () => `cuBLASLt ${library?.version} ${types}, ${cost}`,
        };
      }
      const tall = chooseSplit(alone, host.context);
      if (tall) {
        const split = new SplitProduct(product, tall, host, epilogue ?? undefined);
        return {
          launch(stream, { inputs: [a, b], outputs: [out], scratch, epilogue: addresses }) {
            split.launch(stream, { a: firstElement(a, specA), b, out, scratch, ...followers(addresses) });
          },
          describe: () => `cuBLASLt ${library?.version} bfloat16, a in three parts, ${cost}`,
        };
      }
      const plan = planOwn(alone, host.context);
      const own = new OwnProduct(product, plan, host, epilogue ?? undefined);
      return {
        launch(stream, { inputs: [a, b], outputs: [out], scratch, epilogue: addresses }) {
          own.launch(stream, { a: firstElement(a, specA), b, out, parts: scratch, ...followers(addresses) });
        },
        describe: () => `own ${plan.kernel}, ${plan.grid[0]} blocks${plan.parts > 1 ? ` × ${plan.parts} parts of k` : ''}, ${cost}`,
      };
    },
  };
}

export const matmul: CudaRoutine = matmulBy();
