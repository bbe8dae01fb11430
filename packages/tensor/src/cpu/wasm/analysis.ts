import type { Access, Instruction, Kernel } from '../../compile/kernel';
import { DeviceError } from '../../errors';

/** Loop dimensions as a bit set. */
export type DimSet = number;

/** What a kernel's instructions depend on and cost. Values are numbered as in the IR: body, then epilogue. */
export interface Analysis {
  readonly instructions: readonly Instruction[];
  readonly bodyLength: number;
  /** Dimensions that each value varies along ('reduced' results: none of the reduced ones). */
  readonly varies: readonly DimSet[];
  /** Values that reach a store or a reduction. */
  readonly needed: readonly boolean[];
}

/** Estimated machine instructions per vector. */
const costs: Partial<Record<Instruction['op'], number>> = {
  const: 0,
  load: 0,
  reduced: 0,
  exp: 22,
  expm1: 20,
  log: 30,
  log1p: 40,
  sin: 50,
  cos: 50,
  tanh: 26,
  erf: 45,
  sigmoid: 26,
  softplus: 36,
  pow: 130,
  threefry: 130,
  sqrt: 4,
  rsqrt: 8,
  div: 5,
  reciprocal: 5,
  max: 4,
  min: 4,
};

export function dimsOf(strides: readonly number[]): DimSet {
  let set = 0;
  strides.forEach((s, d) => {
    if (s !== 0) set |= 1 << d;
  });
  return set;
}

export function accessDims(access: Access): DimSet {
  return access.guards.reduce((set, guard) => set | dimsOf(guard.strides), dimsOf(access.strides));
}

function operands(instruction: Instruction): readonly number[] {
  return 'args' in instruction ? instruction.args : [];
}

export function analyse(kernel: Kernel): Analysis {
  const instructions = [...kernel.body, ...kernel.epilogue];
  const bodyLength = kernel.body.length;
  const varies: DimSet[] = [];
  instructions.forEach((instruction) => {
    let set = 0;
    if (instruction.op === 'load') set = accessDims(kernel.loads[instruction.load]);
    else if (instruction.op === 'index') set = dimsOf(instruction.strides);
    else if (instruction.op === 'reduced') set = (1 << kernel.outerDims) - 1;
    for (const arg of operands(instruction)) set |= varies[arg];
    varies.push(set);
  });
  const needed = instructions.map(() => false);
  for (const store of kernel.stores) needed[store.value] = true;
  for (const reduce of kernel.reduces) needed[reduce.value] = true;
  for (let i = instructions.length - 1; i >= 0; i--) {
    if (needed[i]) for (const arg of operands(instructions[i])) needed[arg] = true;
  }
  const reducedDims = ((1 << kernel.domain.length) - 1) & ~((1 << kernel.outerDims) - 1);
  kernel.epilogue.forEach((instruction, i) => {
    if ((varies[bodyLength + i] & reducedDims) !== 0) {
      throw new DeviceError(
        `cpu: instruction ${i} (${instruction.op}) of a kernel's epilogue varies along a reduced dimension`,
      );
    }
  });
  return { instructions, bodyLength, varies, needed };
}

/**
 * Estimated instructions of one vector turn of the body for what varies along any of `dims`, without loads and stores.
 */
export function bodyCost({ instructions, bodyLength, varies, needed }: Analysis, dims: DimSet): number {
  let cost = 0;
  for (let i = 0; i < bodyLength; i++)
    if (needed[i] && (varies[i] & dims) !== 0) cost += costs[instructions[i].op] ?? 1;
  return cost;
}
