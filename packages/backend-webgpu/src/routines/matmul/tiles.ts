import type { Pass, PassBinding } from '../../pass';
import type { StepMemory } from '../../routine';
import { type Finish, finishRow } from './finish';
import { factorType, type Problem, widening } from './problem';
import { slabs, stagingOf } from './staging';
import { type Split, type Tile, tileThreads } from './tile';

const components = ['x', 'y', 'z', 'w'] as const;

function range(length: number): readonly number[] {
  return Array.from({ length }, (_, i) => i);
}

/** The product tile by tile. With more than one slice, partial results go to `partial`, [slice][batch][m][n]. */
export function tilePass(p: Problem, tile: Tile, split: Split, memory: StepMemory, finish: Finish, partial: PassBinding | null): Pass {
  const threads = tileThreads(tile);
  const tilesM = Math.ceil(p.m / tile.m);
  const tilesN = Math.ceil(p.n / tile.n);
  const { slices } = split;
  const body = [
    // Neighbouring workgroups walk down a band of columns: what they share stays in the cache.
    `let tile = group % ${tilesM * tilesN}u;`,
    `let row0 = (tile % ${tilesM}u) * ${tile.m}u;`,
    `let column0 = (tile / ${tilesM}u) * ${tile.n}u;`,
    `let batch = (group / ${tilesM * tilesN}u) % ${p.batch}u;`,
    ...(slices > 1 ? [`let slice = group / ${tilesM * tilesN * p.batch}u;`] : []),
    ...threadPlace(tile),
    ...range(tile.rows).flatMap((r) => range(tile.columns / 4).map((g) => `var c${r}_${g} = vec4<f32>();`)),
    ...(p.k > 0 ? sum(p, tile, split, threads) : []),
    ...results(p, tile, finish, partial !== null),
  ];
  const inputs = p.k === 0 ? [] : [memory.input(0, 'a', factorType(p.a)), memory.input(1, 'b', factorType(p.b))];
  return {
    label: `wgsl matmul, tile ${tile.m}x${tile.n}x${tile.k}, ${tile.rows}x${tile.columns} each${slices > 1 ? `, k in ${slices}` : ''}`,
    bindings: [...inputs, ...(partial ? [partial] : finish.bindings)],
    declarations: [slabs(tile), widening(p.a), widening(p.b), partial ? '' : finish.declarations].join('\n'),
    body: body.map((l) => `  ${l}`).join('\n'),
    workgroupSize: threads,
    workgroups: tilesM * tilesN * p.batch * slices,
  };
}

/** Slab by slab along k. While one is multiplied, the next one is on its way into registers. */
function sum(p: Problem, tile: Tile, split: Split, threads: number): string[] {
  const staging = stagingOf(p, tile, split, threads);
  const count = Math.ceil(split.chunk / tile.k);
  const begin = split.slices > 1 ? `slice * ${split.chunk}u` : '0u';
  const indented = (lines: readonly string[], by: string): string[] => lines.map((l) => by + l);
  return [
    ...staging.declare,
    ...staging.fetch(begin),
    `for (var s = 0u; s < ${count}u; s++) {`,
    ...indented(staging.store, '  '),
    '  workgroupBarrier();',
    `  if (s + 1u < ${count}u) {`,
    `    let next = ${begin} + (s + 1u) * ${tile.k}u;`,
    ...indented(staging.fetch('next'), '    '),
    '  }',
    // Written out for every k: with indices that the compiler knows, slabs are read at constant distances. A loop is a fifth slower.
    ...range(tile.k).flatMap((k) => indented(['{', ...multiply(tile, k), '}'], '  ')),
    '  workgroupBarrier();',
    '}',
  ];
}

function multiply(tile: Tile, k: number): string[] {
  const columnGroups = range(tile.columns / 4);
  return [
    ...range(tile.rows / 4).map((g) => `  let x${g} = slab_a[${k}][ty + ${(g * tile.m) / tile.rows}u];`),
    ...columnGroups.map((g) => `  let y${g} = slab_b[${k}][tx + ${(g * tile.n) / tile.columns}u];`),
    ...range(tile.rows).flatMap((r) => columnGroups.map((g) => `  c${r}_${g} = x${r >> 2}.${components[r & 3]} * y${g} + c${r}_${g};`)),
  ];
}

function results(p: Problem, tile: Tile, finish: Finish, partial: boolean): string[] {
  return range(tile.rows).map((r) => {
    const row = `row0 + (ty + ${((r >> 2) * tile.m) / tile.rows}u) * 4u + ${r & 3}u`;
    const stores = range(tile.columns / 4).map((g) => {
      const column = `(column0 + (tx + ${(g * tile.n) / tile.columns}u) * 4u)`;
      return partial ? storePartial(p, finish.lanes, `(${row})`, column, `c${r}_${g}`) : finishRow(finish, p, 'batch', `(${row})`, column, `c${r}_${g}`);
    });
    return p.m % tile.m === 0 ? stores.join('\n') : `if (${row} < ${p.m}u) {\n${stores.join('\n')}\n}`;
  });
}

/**
 * Where in the tile an invocation stands: 8 by 4 within each group of 32, interleaved so that neighbours share a vector of a and next but one
 * neighbours one of b. Then few vectors of workgroup memory are read at a time.
 */
function threadPlace(tile: Tile): string[] {
  const across = tile.n / tile.columns;
  if (across % 8 > 0 || (tile.m / tile.rows) % 4 > 0) return [`let tx = lane % ${across}u;`, `let ty = lane / ${across}u;`];
  const wide = across / 8;
  return [
    `let tx = ((lane >> 1u) & 7u) + 8u * ((lane / 32u) % ${wide}u);`,
    `let ty = ((lane & 1u) | ((lane >> 3u) & 2u)) + 4u * (lane / ${32 * wide}u);`,
  ];
}

function storePartial({ batch, m, n }: Problem, lanes: 1 | 4, row: string, column: string, x: string): string {
  const at = `((slice * ${batch}u + batch) * ${m}u + ${row}) * ${n}u + ${column}`;
  if (lanes === 4) return `if (${column} < ${n}u) { partial[(${at}) / 4u] = ${x}; }`;
  return components.map((c, e) => `if (${column} + ${e}u < ${n}u) { partial[${at} + ${e}u] = ${x}.${c}; }`).join(' ');
}

/** Adds the slices up in order. */
export function joinPass(p: Problem, slices: number, finish: Finish, partial: PassBinding): Pass {
  const { lanes } = finish;
  const total = p.batch * p.m * p.n;
  const count = total / lanes;
  return {
    label: 'join slices',
    bindings: [{ ...partial, writes: false }, ...finish.bindings],
    declarations: finish.declarations,
    body: `  let at = group * 64u + lane;
  if (at >= ${count}u) { return; }
  var sum = partial[at];
  for (var s = 1u; s < ${slices}u; s++) { sum += partial[s * ${count}u + at]; }
  let element = at * ${lanes}u;
  finish(element / ${p.m * p.n}u, (element / ${p.n}u) % ${p.m}u, element % ${p.n}u, sum);`,
    workgroupSize: 64,
    workgroups: Math.ceil(count / 64),
  };
}
