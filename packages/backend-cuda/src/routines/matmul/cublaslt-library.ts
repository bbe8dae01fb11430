import { CudaError } from '@mamba-ts/scan-cuda/driver';

// libcublasLt through koffi. Handles and device addresses are BigInt, as in scan-cuda's driver layer.
const prototypes = {
  cublasLtGetVersion: 'size_t cublasLtGetVersion()',
  cublasLtCreate: 'int cublasLtCreate(void *handle)',
  cublasLtDestroy: 'int cublasLtDestroy(uint64_t handle)',
  cublasLtMatmulDescCreate: 'int cublasLtMatmulDescCreate(void *description, int compute, int scale)',
  cublasLtMatmulDescSetAttribute: 'int cublasLtMatmulDescSetAttribute(uint64_t description, int attribute, const void *value, size_t bytes)',
  cublasLtMatmulDescDestroy: 'int cublasLtMatmulDescDestroy(uint64_t description)',
  cublasLtMatrixLayoutCreate: 'int cublasLtMatrixLayoutCreate(void *layout, int type, uint64_t rows, uint64_t columns, int64_t leading)',
  cublasLtMatrixLayoutSetAttribute: 'int cublasLtMatrixLayoutSetAttribute(uint64_t layout, int attribute, const void *value, size_t bytes)',
  cublasLtMatrixLayoutDestroy: 'int cublasLtMatrixLayoutDestroy(uint64_t layout)',
  cublasLtMatmulPreferenceCreate: 'int cublasLtMatmulPreferenceCreate(void *preference)',
  cublasLtMatmulPreferenceSetAttribute: 'int cublasLtMatmulPreferenceSetAttribute(uint64_t preference, int attribute, const void *value, size_t bytes)',
  cublasLtMatmulPreferenceDestroy: 'int cublasLtMatmulPreferenceDestroy(uint64_t preference)',
  cublasLtMatmulAlgoGetHeuristic:
    'int cublasLtMatmulAlgoGetHeuristic(uint64_t handle, uint64_t description, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t preference, int requested, void *results, void *returned)',
  cublasLtMatmul:
    'int cublasLtMatmul(uint64_t handle, uint64_t description, const void *alpha, uint64_t a, uint64_t layoutA, uint64_t b, uint64_t layoutB, const void *beta, uint64_t c, uint64_t layoutC, uint64_t d, uint64_t layoutD, const void *algorithm, uint64_t workspace, size_t workspaceBytes, uint64_t stream)',
} as const;

export type LibraryFunction = keyof typeof prototypes;
type Argument = number | bigint | ArrayBufferView;

/** Where the library may be found by the dynamic linker, newest first. */
const sonames = ['libcublasLt.so.13', 'libcublasLt.so.12'];

/** The library's functions with one handle, for the context that is current in this thread. */
export class CublasLtLibrary {
  readonly handle: bigint;
  /** e.g. `13.0.2` */
  readonly version: string;

  private constructor(
    readonly soname: string,
    private readonly functions: ReadonlyMap<LibraryFunction, (...args: Argument[]) => number>,
  ) {
    const version = Number(this.call('cublasLtGetVersion'));
    const base = version >= 100000 ? 10000 : 1000;
    this.version = `${Math.floor(version / base)}.${Math.floor((version % base) / 100)}.${version % 100}`;
    const handle = new BigUint64Array(1);
    this.check('cublasLtCreate', handle);
    this.handle = handle[0];
  }

  /** Null where koffi or the library is missing. */
  static async open(): Promise<CublasLtLibrary | null> {
    let koffi: typeof import('koffi');
    try {
      const module = await import('koffi');
      koffi = (module as unknown as { default?: typeof import('koffi') }).default ?? module;
    } catch {
      return null;
    }
    for (const soname of sonames) {
      let library: ReturnType<typeof koffi.load>;
      try {
        library = koffi.load(soname);
      } catch {
        continue;
      }
      const functions = Object.entries(prototypes).map(([name, prototype]) => [name as LibraryFunction, library.func(prototype) as (...args: Argument[]) => number] as const);
      return new CublasLtLibrary(soname, new Map(functions));
    }
    return null;
  }

  call(name: LibraryFunction, ...args: Argument[]): number {
    return this.functions.get(name)!(...args);
  }

  /** Calls a function; throws a CudaError unless it returns CUBLAS_STATUS_SUCCESS. */
  check(name: LibraryFunction, ...args: Argument[]): void {
    const status = this.call(name, ...args);
    if (status !== 0) throw new CudaError(name, `cuBLAS status ${status}`);
  }

  close(): void {
    this.call('cublasLtDestroy', this.handle);
  }
}
