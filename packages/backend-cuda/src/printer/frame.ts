import type { Access, Kernel } from '@mamba-ts/tensor';
import type { Addressing } from './addressing';
import type { Operand, PtxCode } from './code';

/** What elementwise kernels and reductions share: parameters, base addresses, the guard. */
export interface KernelFrame {
  readonly code: PtxCode;
  readonly kernel: Kernel;
  readonly addressing: Addressing;
  /** Is a buffer the same before and during the program? Its loads need not wait for earlier kernels. */
  readonly early: (buffer: number) => boolean;
  /**
   * Everything behind this waits for the kernels before. Gives the predicate under which stores are allowed, null for always. Called once, behind
   * the early loads.
   */
  awaitEarlier(): Operand | null;
  /** Address of a further parameter. */
  parameter(name: 'partials' | 'counters'): Operand;
}

/** Loops that an access, a guard or an index of the kernel depends on. */
export function neededLoops(kernel: Kernel): boolean[] {
  const indices = [...kernel.body, ...kernel.epilogue].flatMap((x) => (x.op === 'index' ? [x] : []));
  const accesses: Access[] = [...kernel.loads, ...kernel.stores.map((s) => s.access)];
  const all = [...accesses, ...accesses.flatMap((a) => a.guards), ...indices];
  return kernel.domain.map((_, d) => all.some((a) => a.strides[d] !== 0));
}
