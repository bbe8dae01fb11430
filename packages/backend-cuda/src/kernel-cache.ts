import type { CudaContext, CudaFunction, CudaModule } from '@mamba-ts/scan-cuda/driver';
import type { Kernel } from '@mamba-ts/tensor';
import { moduleHeader } from './printer/code';
import { type PrintedKernel, printKernel } from './printer/kernel';

export interface LoadedKernel {
  readonly printed: PrintedKernel;
  readonly run: CudaFunction;
}

/** A kernel and how it is to be printed: see PrintOptions. */
export interface WantedKernel {
  readonly kernel: Kernel;
  readonly guarded: boolean;
  readonly early?: readonly number[];
  readonly sets?: number;
  readonly follower?: { readonly kernel: Kernel; readonly guarded: boolean };
}

/**
 * Printed kernels and their code on the device. The kernels that a program adds are compiled together, as one module. The driver keeps the result
 * on disk by the hash of the text (`CUDA_CACHE_PATH`, `~/.nv/ComputeCache`), so that later processes only load it: 47 programs of the conformance
 * suite took 0.5 s instead of 2.1 s on an H200. A cache of our own would hold the same bytes once more.
 */
export class KernelCache {
  private readonly printed = new Map<string, PrintedKernel>();
  private readonly functions = new Map<string, CudaFunction>();
  private readonly modules: CudaModule[] = [];

  constructor(private readonly context: CudaContext) {}

  /** Code of all these kernels, in order. */
  load(kernels: readonly WantedKernel[]): LoadedKernel[] {
    const printed = kernels.map((wanted) => this.print(wanted));
    const missing = new Map(printed.filter(({ name }) => !this.functions.has(name)).map((p) => [p.name, p]));
    if (missing.size > 0) {
      const text = moduleHeader(this.context.computeCapability) + [...missing.values()].map((p) => p.text).join('\n');
      const module = this.context.loadModule(new TextEncoder().encode(text));
      this.modules.push(module);
      for (const name of missing.keys()) this.functions.set(name, module.function(name));
    }
    return printed.map((p) => ({ printed: p, run: this.functions.get(p.name) as CudaFunction }));
  }

  print({ kernel, guarded, early = [], sets = 1, follower }: WantedKernel): PrintedKernel {
    const key = `${guarded} ${early.join()} ${sets} ${JSON.stringify([kernel, follower && [follower.kernel, follower.guarded]], nonFinite)}`;
    let found = this.printed.get(key);
    if (!found) this.printed.set(key, (found = printKernel(kernel, { multiprocessors: this.context.multiprocessors, guarded, early, sets, ...(follower && { follower }) })));
    return found;
  }

  close(): void {
    for (const module of this.modules) module.unload();
  }
}

function nonFinite(_: string, value: unknown): unknown {
  return typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)) ? (Object.is(value, -0) ? '-0' : String(value)) : value;
}
