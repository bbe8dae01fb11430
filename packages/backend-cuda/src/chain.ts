import { type Access, type Program, type Shape, sizeOf } from '@mamba-ts/tensor';
import { chooseGeometry, type Machine } from './printer/geometry';
import { type Group, meeting } from './together';

/** A reduction, and the elementwise kernel that goes with it in one launch. */
export type Chain = readonly [reduction: number, follower: number];

/**
 * Joins a reduction of rows with the elementwise kernel right behind it that uses the results row by row: a norm's statistic and what it scales. One
 * launch instead of two, and rows are still in the multiprocessor's cache when they are read again. Gives the groups, chains among them.
 */
export function chainRows(program: Program, groups: readonly Group[], machine: Machine): { readonly groups: readonly Group[]; readonly chains: ReadonlySet<Group> } {
  const list: Group[] = [];
  const chains = new Set<Group>();
  for (const group of groups) {
    const before = list.at(-1);
    if (before?.length === 1 && group.length === 1 && mayFollow(program, before[0], group[0], machine)) {
      const chain: Chain = [before[0], group[0]];
      list[list.length - 1] = chain;
      chains.add(chain);
    } else {
      list.push(group);
    }
  }
  return { groups: list, chains };
}

function mayFollow(program: Program, first: number, second: number, machine: Machine): boolean {
  const [a, b] = [program.steps[first], program.steps[second]];
  if (a.kind !== 'kernel' || b.kind !== 'kernel' || a.kernel.reduces.length === 0 || b.kernel.reduces.length > 0 || b.kernel.column !== undefined) return false;
  const geometry = chooseGeometry(a.kernel, machine);
  if (geometry.kind !== 'rows' || geometry.splits > 1) return false;
  const outer = a.kernel.domain.slice(0, a.kernel.outerDims);
  const rows = sizeOf(outer);
  const { domain, loads } = b.kernel;
  // The leading loops that count the rows; at least one is left for what is within a row.
  const leading = domain.findIndex((_, d) => sizeOf(domain.slice(0, d)) === rows);
  if (leading < 0) return false;
  // A block does the elementwise work of its own rows: a few turns, unless there are blocks enough to share it.
  const threads = geometry.lanes * geometry.across;
  if (geometry.blocks < machine.multiprocessors && (geometry.across * geometry.together * sizeOf(domain)) / rows > 16 * threads) return false;
  const { overwrites, reads } = meeting(program, first, second);
  const made = a.kernel.stores.map((s) => a.buffers[s.access.buffer]);
  const read = loads.filter((load) => made.includes(b.buffers[load.buffer]));
  // What else it reads of the memory that the first one writes would have to wait for all blocks.
  return (
    !overwrites && read.length > 0 && reads.every((slot) => made.includes(slot)) && read.every((load) => isRow(load, domain, leading)) &&
    a.kernel.stores.every((s) => s.phase === 'epilogue' && isRow(s.access, a.kernel.domain, outer.length))
  );
}

/** Is the element number that of the row, which the `leading` loops of the domain count, and the same all along it? */
function isRow({ guards, offset, strides }: Access, domain: Shape, leading: number): boolean {
  const steps = strides.map((_, d) => (d < leading ? sizeOf(domain.slice(d + 1, leading)) : 0));
  return guards.length === 0 && offset === 0 && strides.every((s, d) => s === steps[d] || domain[d] === 1);
}
