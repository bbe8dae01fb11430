import type { Program, Slot } from '@mamba-ts/tensor';

type Step = Program['steps'][number];

/** Steps that become one launch; most have one. */
export type Group = readonly number[];

/**
 * Finds steps that run the same code on different memory and may as well run at once: updates of equal parameters, windows of all layers. Such a
 * step moves up to the first of its kind, past steps that it shares no memory with. `codeOf` names the code of a step, null where it must stay
 * alone; `most` says how many may share a launch.
 */
export function groupSteps(program: Program, codeOf: (step: number) => string | null, most: (step: number) => number): Group[] {
  const touches = program.steps.map((step) => memoryOf(step, program.slots));
  const groups: { readonly steps: number[]; readonly code: string | null }[] = [];
  program.steps.forEach((_, at) => {
    const code = codeOf(at);
    if (code !== null) {
      for (let g = groups.length - 1; g >= 0; g--) {
        const group = groups[g];
        if (group.code === code && group.steps.length < most(at) && group.steps.every((s) => !conflict(touches[s], touches[at]))) {
          group.steps.push(at);
          return;
        }
        if (group.steps.some((s) => conflict(touches[s], touches[at]))) break;
      }
    }
    groups.push({ steps: [at], code });
  });
  return groups.map(({ steps }) => steps);
}

/** How a step meets the memory of an earlier one: does it write what that one touches, and which slots does it read that overlap what that one writes? */
export function meeting({ steps, slots }: Program, earlier: number, later: number): { readonly overwrites: boolean; readonly reads: readonly number[] } {
  const [a, b] = [memoryOf(steps[earlier], slots), memoryOf(steps[later], slots)];
  const step = steps[later];
  const read = step.kind === 'kernel' ? step.kernel.loads.map((l) => step.buffers[l.buffer]) : step.inputs.filter((s) => s !== null);
  return { overwrites: meet(b.writes, [...a.reads, ...a.writes]), reads: [...new Set(read)].filter((slot) => meet(a.writes, [rangeOf(slots, slot)])) };
}

/** Bytes [from, to) of the arena, or of an external slot. */
interface Range {
  readonly space: number;
  readonly from: number;
  readonly to: number;
}

interface Memory {
  readonly reads: readonly Range[];
  readonly writes: readonly Range[];
}

const arena = -1;

function rangeOf(slots: readonly Slot[], slot: number): Range {
  const { kind, bytes, offset } = slots[slot];
  return kind === 'arena' ? { space: arena, from: offset, to: offset + bytes } : { space: slot, from: 0, to: Math.max(1, bytes) };
}

function memoryOf(step: Step, slots: readonly Slot[]): Memory {
  const range = (slot: number): Range => rangeOf(slots, slot);
  if (step.kind === 'kernel') {
    const of = (buffers: readonly number[]): Range[] => [...new Set(buffers.map((b) => step.buffers[b]))].map(range);
    return { reads: of(step.kernel.loads.map((l) => l.buffer)), writes: of(step.kernel.stores.map((s) => s.access.buffer)) };
  }
  const present = (list: readonly (number | null)[]): Range[] => list.filter((s): s is number => s !== null).map(range);
  // An epilogue may read and write any of its buffers.
  const others = step.epilogue?.buffers ?? [];
  return { reads: present([...step.inputs, ...others]), writes: present([...step.outputs, step.scratch, ...others]) };
}

function conflict(a: Memory, b: Memory): boolean {
  return meet(a.writes, b.writes) || meet(a.writes, b.reads) || meet(a.reads, b.writes);
}

function meet(a: readonly Range[], b: readonly Range[]): boolean {
  return a.some((x) => b.some((y) => x.space === y.space && x.from < y.to && y.from < x.to));
}
