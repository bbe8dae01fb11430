import type { Kernel, RoutineCall } from '@mamba-ts/tensor';
import type { PassBinding } from '../pass';
import { align256, type Capabilities, type StepMemory, type WebGpuRoutine } from '../routine';
import { blockPass } from './matmul/blocks';
import { finishOf, sharedWithEpilogue } from './matmul/finish';
import { type Problem, problemOf } from './matmul/problem';
import { alongK, alongN, fewRows } from './matmul/rows';
import { type Split, splitOf, type Tile } from './matmul/tile';
import { joinPass, tilePass } from './matmul/tiles';
import { type Tiling, tilingOf } from './matmul/tiling';

/** Which way a product goes. Tests and benchmarks ask for one. */
export type Way = 'rows' | 'blocks' | 'best' | Tiling;

export interface MatmulChoice {
  readonly way: 'rows along k' | 'rows along n' | 'blocks' | Tile;
  readonly split: Split;
}

function choose(p: Problem, capabilities: Capabilities, way: Way): MatmulChoice {
  const whole = { slices: 1, chunk: p.k };
  if (way === 'blocks' || (way === 'best' && capabilities.software)) return { way: 'blocks', split: whole };
  const few = p.m <= fewRows && p.k > 0;
  if (few && (way === 'rows' || way === 'best')) {
    if (p.b.along === 'k' && p.a.along === 'k') return { way: 'rows along k', split: whole };
    if (p.b.along === 'outer') return { way: 'rows along n', split: whole };
  }
  const { tile, slices } = typeof way === 'object' ? way : tilingOf(p, capabilities.workgroupBytes, capabilities.maxInvocations);
  return { way: tile, split: splitOf(p.k, tile, slices) };
}

function partialBytes(p: Problem, { slices }: Split): number {
  return slices > 1 ? slices * p.batch * p.m * p.n * 4 : 0;
}

/** Most instructions of an epilogue, and buffers: a and b are bound besides. */
const largestEpilogue = 64;

function absorbs(_call: RoutineCall, kernel: Kernel, { maxBuffers }: Capabilities): boolean {
  const buffers = new Set([...kernel.loads, ...kernel.stores.map((s) => s.access)].map((a) => a.buffer));
  buffers.delete(0);
  return kernel.body.length <= largestEpilogue && buffers.size + 2 <= maxBuffers;
}

/** The routine going one way. */
export function matmulBy(way: Way): WebGpuRoutine {
  return {
    absorbs,
    scratchBytes(call, capabilities) {
      const p = problemOf(call);
      return align256(partialBytes(p, choose(p, capabilities, way).split));
    },
    passes(call, memory, capabilities) {
      const scalar = sharedWithEpilogue(memory);
      const same = memory.inputSlot(0) === memory.inputSlot(1);
      let p = problemOf(call, scalar);
      // One matrix as both factors is bound once, so both must be read in one way.
      if (same && p.a.vectors !== p.b.vectors) p = problemOf(call, { a: true, b: true });
      if (p.batch * p.m * p.n === 0) return [];
      const finish = finishOf(p, memory);
      // Chosen without regard to what the epilogue shares, as scratchBytes did.
      const choice = choose(problemOf(call), capabilities, way);
      // Both factors go along k in step: by vectors or by elements.
      if (choice.way === 'rows along k') return [alongK(p.a.vectors && p.b.vectors ? p : problemOf(call, { a: true, b: true }), memory, finish)];
      if (choice.way === 'rows along n') return [alongN(p.a.vectors ? problemOf(call, { a: true, b: scalar.b || same }) : p, memory, finish)];
      if (choice.way === 'blocks') return [blockPass(p, memory, finish)];
      const partial = partialBinding(p, choice.split, memory, finish.lanes);
      const passes = [tilePass(p, choice.way, choice.split, memory, finish, partial)];
      return partial ? [...passes, joinPass(p, choice.split.slices, finish, partial)] : passes;
    },
  };
}

function partialBinding(p: Problem, split: Split, memory: StepMemory, lanes: 1 | 4): PassBinding | null {
  if (split.slices === 1) return null;
  return memory.scratch('partial', lanes === 4 ? 'vec4<f32>' : 'f32', 0, partialBytes(p, split), true);
}

export const matmul: WebGpuRoutine = matmulBy('best');
