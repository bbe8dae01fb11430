import type { Program } from '@mamba-ts/tensor';
import { chainRows } from './chain';
import type { WantedKernel } from './kernel-cache';
import type { Machine } from './printer/geometry';
import { launchCode, mostSets, type PrintedKernel } from './printer/kernel';
import { type Group, groupSteps } from './together';

type Step = Program['steps'][number];
type KernelStep = Extract<Step, { kind: 'kernel' }>;

/** Routines that can raise a fault. */
const faulting: ReadonlySet<string> = new Set(['gather', 'scatterAdd', 'crossEntropy']);

export interface LaunchPlan {
  /** What is launched, in order: most often one step each. */
  readonly groups: readonly Group[];
  /** The kernel of each launch and how it is to be printed; null for routines. */
  readonly kernels: readonly (WantedKernel | null)[];
  /** Can a step raise a fault? */
  readonly raises: boolean;
  /** For each step, and each buffer of a kernel or input of a routine: is it memory that no earlier step writes (weights, states)? */
  readonly unwritten: readonly (readonly boolean[])[];
}

/** Decides which steps of a program share a launch, and how each kernel is to be printed. */
export function planLaunches(program: Program, print: (wanted: WantedKernel) => PrintedKernel, machine: Machine): LaunchPlan {
  const { steps, slots } = program;
  const raises = steps.some((s) => s.kind === 'routine' && faulting.has(s.call.name));
  const unwritten = unwrittenInputs(program);
  const wanted = ({ kernel, buffers }: KernelStep, at: number): WantedKernel => ({
    kernel,
    guarded: raises && kernel.stores.some((s) => slots[buffers[s.access.buffer]].outlives === true),
    early: buffers.flatMap((_, i) => (unwritten[at][i] ? [i] : [])),
  });
  const kernels = steps.map((step, at) => (step.kind === 'kernel' ? wanted(step, at) : null));
  const printed = kernels.map((kernel) => kernel && print(kernel));
  const grouped = groupSteps(
    program,
    (at) => printed[at] && launchCode(printed[at]),
    (at) => mostSets(printed[at] as PrintedKernel, (steps[at] as KernelStep).buffers.length),
  );
  const { groups, chains } = chainRows(program, grouped, machine);
  return {
    groups, raises, unwritten,
    kernels: groups.map((group) => {
      const [first, second] = group.map((at) => kernels[at]);
      return first && { ...first, ...(second && chains.has(group) ? { follower: second } : { sets: group.length }) };
    }),
  };
}

function slotsWritten(step: Step): number[] {
  if (step.kind === 'kernel') return step.kernel.stores.map((s) => step.buffers[s.access.buffer]);
  return [...step.outputs, ...(step.epilogue?.buffers ?? [])].filter((slot) => slot !== null);
}

/** For each step, and each buffer of a kernel or input of a routine: is it external memory that no step before it writes? */
export function unwrittenInputs({ steps, slots }: Program): boolean[][] {
  const written = new Set<number>();
  return steps.map((step) => {
    const inputs = (step.kind === 'routine' ? step.inputs : step.buffers).map((slot) => slot !== null && slots[slot].kind === 'external' && !written.has(slot));
    for (const slot of slotsWritten(step)) written.add(slot);
    return inputs;
  });
}
