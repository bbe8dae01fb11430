import type { CudaStream } from '@mamba-ts/scan-cuda/driver';
import type { ElementType } from '../../element-types';
import type { CublasLtLibrary } from './cublaslt-library';
import type { Product } from './product';

// Values of the library's enumerations (cublasLt.h, library_types.h).
const dataTypes: Readonly<Record<ElementType, number>> = { float32: 0, float16: 2, bfloat16: 14 };
const compute32F = 68; // CUBLAS_COMPUTE_32F: no TF32
const compute32FTf32 = 77; // CUBLAS_COMPUTE_32F_FAST_TF32
const description = { transposeA: 3, transposeB: 4, epilogue: 7, biasPointer: 8 } as const;
const epilogueBias = 4; // CUBLASLT_EPILOGUE_BIAS
const layoutBatch = { count: 5, stride: 6 } as const;
const preference = { workspaceBytes: 1, alignments: [5, 6, 7, 8] } as const;
/** What the routine contract promises of addresses (those of views), and what the library may use of the arena. */
const alignment = 16;
const maxWorkspaceBytes = 32 * 2 ** 20;
/** sizeof(cublasLtMatmulHeuristicResult_t), and the offset of its workspaceSize behind the 64 bytes of the algorithm. */
const resultBytes = 96;
const resultWorkspace = 64;

export interface LtOptions {
  /** float32 operands are rounded to 10 bits of mantissa on their way into the tensor cores. */
  readonly tf32?: boolean;
  /** A vector (n) is added to every row. */
  readonly bias?: boolean;
  /** A matrix of the result's shape and type is added. */
  readonly residual?: boolean;
  /** Bytes of workspace that it may take. Default 32 MiB. */
  readonly mostWorkspace?: number;
}

/** Can the library multiply these types? */
export function hasTypes({ typeA, typeB, typeOut }: Product): boolean {
  return typeA === typeB && (typeOut === 'float32' || typeOut === typeA);
}

/**
 * One product as the library sees it: its matrices are column-major, so that it is asked for outᵀ (n, m) = bᵀ · aᵀ, in which a row-major matrix
 * is the transposed one without being touched. The algorithm is the library's first choice, asked for once.
 */
export class LtProduct {
  readonly workspaceBytes: number;
  private readonly desc: bigint;
  private readonly layouts: readonly [a: bigint, b: bigint, out: bigint];
  private readonly algorithm: Uint8Array;
  private readonly alpha = Float32Array.of(1);
  private readonly beta: Float32Array;

  private constructor(
    private readonly library: CublasLtLibrary,
    product: Product,
    private readonly options: LtOptions,
  ) {
    const { batch, m, n, k, transposeA, transposeB, strideA, strideB, rowA } = product;
    const made = (name: 'cublasLtMatmulDescCreate' | 'cublasLtMatrixLayoutCreate' | 'cublasLtMatmulPreferenceCreate', ...args: (number | bigint)[]): bigint => {
      const handle = new BigUint64Array(1);
      library.check(name, handle, ...args);
      return handle[0];
    };
    this.desc = made('cublasLtMatmulDescCreate', options.tf32 && product.typeA === 'float32' ? compute32FTf32 : compute32F, dataTypes.float32);
    const setDescription = (attribute: number, value: ArrayBufferView): void =>
      library.check('cublasLtMatmulDescSetAttribute', this.desc, attribute, value, value.byteLength);
    // The library's first operand is our b.
    setDescription(description.transposeA, Int32Array.of(transposeB ? 1 : 0));
    setDescription(description.transposeB, Int32Array.of(transposeA ? 1 : 0));
    if (options.bias) setDescription(description.epilogue, Int32Array.of(epilogueBias));
    this.beta = Float32Array.of(options.residual ? 1 : 0);
    const layout = (type: ElementType, rows: number, columns: number, stride: number, pitch = columns): bigint => {
      // Row-major (rows, columns) is column-major (columns, rows).
      const handle = made('cublasLtMatrixLayoutCreate', dataTypes[type], columns, rows, pitch);
      library.check('cublasLtMatrixLayoutSetAttribute', handle, layoutBatch.count, Int32Array.of(batch), 4);
      library.check('cublasLtMatrixLayoutSetAttribute', handle, layoutBatch.stride, BigInt64Array.of(BigInt(stride)), 8);
      return handle;
    };
    this.layouts = [
      transposeA ? layout(product.typeA, k, m, strideA, rowA) : layout(product.typeA, m, k, strideA, rowA),
      transposeB ? layout(product.typeB, n, k, strideB) : layout(product.typeB, k, n, strideB),
      layout(product.typeOut, m, n, m * n),
    ];
    const wish = made('cublasLtMatmulPreferenceCreate');
    library.check('cublasLtMatmulPreferenceSetAttribute', wish, preference.workspaceBytes, BigUint64Array.of(BigInt(options.mostWorkspace ?? maxWorkspaceBytes)), 8);
    for (const attribute of preference.alignments) library.check('cublasLtMatmulPreferenceSetAttribute', wish, attribute, Uint32Array.of(alignment), 4);
    const result = new Uint8Array(resultBytes);
    const found = new Int32Array(1);
    const [a, b, out] = this.layouts;
    const status = library.call('cublasLtMatmulAlgoGetHeuristic', library.handle, this.desc, b, a, out, out, wish, 1, result, found);
    library.call('cublasLtMatmulPreferenceDestroy', wish);
    this.algorithm = status === 0 && found[0] > 0 ? result.subarray(0, 64) : new Uint8Array(0);
    this.workspaceBytes = Number(new DataView(result.buffer).getBigUint64(resultWorkspace, true));
  }

  /** Null where the library has no algorithm for it. */
  static of(library: CublasLtLibrary, product: Product, options: LtOptions = {}): LtProduct | null {
    const made = new LtProduct(library, product, options);
    if (made.algorithm.length > 0) return made;
    made.close();
    return null;
  }

  launch(stream: CudaStream, pointers: { a: bigint; b: bigint; out: bigint; workspace: bigint; bias: bigint; residual: bigint }): void {
    const { library, desc, layouts, options } = this;
    const [a, b, out] = layouts;
    if (options.bias) library.check('cublasLtMatmulDescSetAttribute', desc, description.biasPointer, BigUint64Array.of(pointers.bias), 8);
    library.check(
      'cublasLtMatmul',
      ...[library.handle, desc, this.alpha, pointers.b, b, pointers.a, a, this.beta, options.residual ? pointers.residual : pointers.out, out, pointers.out, out],
      ...[this.algorithm, pointers.workspace, this.workspaceBytes, stream.handle],
    );
  }

  close(): void {
    for (const layout of this.layouts) this.library.call('cublasLtMatrixLayoutDestroy', layout);
    this.library.call('cublasLtMatmulDescDestroy', this.desc);
  }
}
