import { backwardKernel } from './backward';
import type { KernelOptions } from './module';
import { combineKernel, copyKernel, reduceKernel } from './small';
import { teamKernel } from './team';
import { walkKernel } from './walk';

/** The WGSL of a kernel. */
export function kernelSource(options: KernelOptions): string {
  switch (options.kind) {
    case 'forward':
    case 'ends':
    case 'adjoint':
    case 'adjointEnds':
      return options.team > 1 ? teamKernel(options) : walkKernel(options);
    case 'backward':
      return backwardKernel(options);
    case 'combine':
      return combineKernel(options);
    case 'reduce':
      return reduceKernel(options);
    case 'copy':
      return copyKernel(options);
  }
}
