import type { CudaContext, CudaFunction, CudaModule } from '@mamba-ts/scan-cuda/driver';
import type { Kernel } from '@mamba-ts/tensor';
import { moduleHeader } from './printer/code';
import { type PrintedKernel, printKernel } from './printer/kernel';

export interface LoadedKernel {
  readonly printed: PrintedKernel;
  readonly run: CudaFunction;
}

/**
 * Printed kernels and their code on the device. The kernels that a program adds are compiled together, as one module: the driver compiles PTX at
 * about a millisecond a kernel, and keeps the result on disk by the hash of the text (`CUDA_CACHE_PATH`, `~/.nv/ComputeCache`), so that later
 * processes only load it. A cache of our own would hold the same bytes once more.
 */
export class KernelCache {
  private readonly printed = new Map<string, PrintedKernel>();
  private readonly functions = new Map<string, CudaFunction>();
  private readonly modules: CudaModule[] = [];

  constructor(private readonly context: CudaContext) {}

  /** Code of all these kernels, in order; `guarded` ones store nothing after a fault. */
  load(kernels: readonly { readonly kernel: Kernel; readonly guarded: boolean }[]): LoadedKernel[] {
    const printed = kernels.map(({ kernel, guarded }) => this.print(kernel, guarded));
    const missing = new Map(printed.filter(({ name }) => !this.functions.has(name)).map((p) => [p.name, p]));
    if (missing.size > 0) {
      const text = moduleHeader + [...missing.values()].map((p) => p.text).join('\n');
      const module = this.context.loadModule(new TextEncoder().encode(text));
      this.modules.push(module);
      for (const name of missing.keys()) this.functions.set(name, module.function(name));
    }
    return printed.map((p) => ({ printed: p, run: this.functions.get(p.name) as CudaFunction }));
  }

  private print(kernel: Kernel, guarded: boolean): PrintedKernel {
    const key = `${guarded}${JSON.stringify(kernel, nonFinite)}`;
    let found = this.printed.get(key);
    if (!found) this.printed.set(key, (found = printKernel(kernel, { multiprocessors: this.context.multiprocessors, guarded })));
    return found;
  }

  close(): void {
    for (const module of this.modules) module.unload();
  }
}

function nonFinite(_: string, value: unknown): unknown {
  return typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)) ? (Object.is(value, -0) ? '-0' : String(value)) : value;
}
